import { Configuration, OpenAIApi } from 'openai';
import { serve } from '../questions.mjs';

// Version 3 has no streams of its own: programs ask axios for the raw answer and read its lines by hand, as here.

const open = ({ baseUrl, apiKey }) => new OpenAIApi(new Configuration({ basePath: baseUrl, apiKey }));

serve({
  async text(request) {
    const { data } = await open(request).createChatCompletion(chat(request));
    return {
      text: data.choices[0].message.content,
      finishReason: data.choices[0].finish_reason,
      usage: tokens(data.usage),
    };
  },

  async stream(request, { say, signal }) {
    const { data } = await open(request).createChatCompletion(
      { ...chat(request), stream: true },
      { responseType: 'stream', signal },
    );
    // This axios takes a signal for the request only; what is under way is ended by hand.
    signal.addEventListener('abort', () => data.destroy());
    let finishReason = null;
    for await (const frame of dataLines(data)) {
      if (frame === '[DONE]') return { finishReason, usage: null };
      const { error, choices } = JSON.parse(frame);
      if (error) throw Object.assign(new Error(error.message), { code: error.code });
      const [choice] = choices;
      if (choice.delta.content) say(choice.delta.content);
      finishReason = choice.finish_reason ?? finishReason;
    }
    if (signal.aborted) return { finishReason, usage: null };
    throw new Error('the stream ended without [DONE]');
  },

  async embed(request) {
    const { model, input, encodingFormat } = request;
    const asked = encodingFormat === undefined ? {} : { encoding_format: encodingFormat };
    const { data } = await open(request).createEmbedding({ model, input, ...asked });
    return { vectors: data.data.map(({ embedding }) => embedding), promptTokens: data.usage.prompt_tokens };
  },

  describe: (error) => ({
    class: error.isAxiosError ? 'AxiosError' : error.constructor.name,
    status: error.response?.status ?? null,
    code: error.response?.data?.error?.code ?? error.code ?? null,
  }),
});

function chat({ model, prompt, temperature }) {
  return {
    model,
    messages: [{ role: 'user', content: prompt }],
    ...(temperature !== undefined && { temperature }),
  };
}

function tokens({ prompt_tokens, completion_tokens }) {
  return { promptTokens: prompt_tokens, completionTokens: completion_tokens };
}

async function* dataLines(stream) {
  stream.setEncoding('utf8');
  let rest = '';
  for await (const text of stream) {
    const lines = (rest + text).split('\n');
    rest = lines.pop();
    for (const line of lines) if (line.startsWith('data: ')) yield line.slice(6);
  }
}
