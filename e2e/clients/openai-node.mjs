// The official package from version 4 on: the same calls in each.

/** A client for `serve` out of the package's class. `collector` finds the helper that collects a stream. */
export function openAiNode(OpenAI, collector) {
  const open = ({ baseUrl, apiKey }) => new OpenAI({ baseURL: baseUrl, apiKey });
  const streamed = (request) => ({ ...chat(request), stream: true, stream_options: { include_usage: true } });
  return {
    async text(request) {
      const { choices, usage } = await open(request).chat.completions.create(chat(request));
      return {
        text: choices[0].message.content,
        finishReason: choices[0].finish_reason,
        usage: tokens(usage),
      };
    },

    async stream(request, { say, signal }) {
      const stream = await open(request).chat.completions.create(streamed(request), { signal });
      const end = { finishReason: null, usage: null };
      for await (const chunk of stream) {
        const [choice] = chunk.choices;
        if (choice?.delta.content) say(choice.delta.content);
        if (choice?.finish_reason) end.finishReason = choice.finish_reason;
        if (chunk.usage) end.usage = tokens(chunk.usage);
      }
      return end;
    },

    async collect(request, { say }) {
      const runner = collector(open(request)).stream(streamed(request));
      runner.on('content', (piece) => say(piece));
      const { choices, usage } = await runner.finalChatCompletion();
      return {
        text: choices[0].message.content,
        finishReason: choices[0].finish_reason,
        usage: tokens(usage),
      };
    },

    async embed(request) {
      const { model, input, encodingFormat } = request;
      const asked = encodingFormat === undefined ? {} : { encoding_format: encodingFormat };
      const { data, usage } = await open(request).embeddings.create({ model, input, ...asked });
      return {
        vectors: data.map(({ embedding }) => Array.from(embedding)),
        promptTokens: usage.prompt_tokens,
      };
    },

    describe: (error) => ({
      class: error.constructor.name,
      status: error.status ?? null,
      code: error.code ?? null,
    }),
  };
}

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
