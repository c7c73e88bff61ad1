import { ChatOpenAI, OpenAIEmbeddings } from '@langchain/openai';
import { serve } from '../questions.mjs';

const open = ({ baseUrl, apiKey, model, temperature }) =>
  new ChatOpenAI({
    apiKey,
    model,
    configuration: { baseURL: baseUrl },
    ...(temperature !== undefined && { temperature }),
  });

serve({
  async text(request) {
    const answer = await open(request).invoke(request.prompt);
    return {
      text: answer.content,
      finishReason: answer.response_metadata.finish_reason,
      usage: tokens(answer.usage_metadata),
    };
  },

  async stream(request, { say, signal }) {
    const end = { finishReason: null, usage: null };
    for await (const chunk of await open(request).stream(request.prompt, { signal })) {
      if (chunk.content !== '') say(chunk.content);
      if (chunk.response_metadata.finish_reason) end.finishReason = chunk.response_metadata.finish_reason;
      if (chunk.usage_metadata !== undefined) end.usage = tokens(chunk.usage_metadata);
    }
    return end;
  },

  async embed(request) {
    const { baseUrl, apiKey, model, input, encodingFormat } = request;
    const embeddings = new OpenAIEmbeddings({
      apiKey,
      model,
      configuration: { baseURL: baseUrl },
      ...(encodingFormat !== undefined && { encodingFormat }),
    });
    const vectors =
      typeof input === 'string'
        ? [await embeddings.embedQuery(input)]
        : await embeddings.embedDocuments(input);
    return { vectors, promptTokens: null };
  },

  describe: (error) => ({
    class: error.name === 'Error' ? error.constructor.name : error.name,
    status: error.status ?? null,
    code: error.code ?? null,
  }),
});

function tokens({ input_tokens, output_tokens }) {
  return { promptTokens: input_tokens, completionTokens: output_tokens };
}
