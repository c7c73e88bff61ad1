// The AI SDK: the same calls whichever provider package makes the models.

/**
 * A client for `serve`.
 * @param sdk the package `ai`
 * @param provider makes { chatModel, embeddingModel } for a base URL and key
 */
export function aiSdk(sdk, provider) {
  const settings = (request) => ({
    model: provider(request).chatModel(request.model),
    prompt: request.prompt,
    ...(request.temperature !== undefined && { temperature: request.temperature }),
  });
  return {
    async text(request) {
      const { text, finishReason, usage } = await sdk.generateText(settings(request));
      return { text, finishReason, usage: tokens(usage) };
    },

    async stream(request, { say, signal }) {
      const end = { finishReason: null, usage: null };
      // Without onError the SDK also writes each error to the console.
      const result = sdk.streamText({ ...settings(request), abortSignal: signal, onError: () => undefined });
      for await (const part of result.fullStream) {
        if (part.type === 'text-delta') say(part.text);
        if (part.type === 'error') throw part.error;
        if (part.type === 'finish') {
          end.finishReason = part.finishReason;
          end.usage = tokens(part.totalUsage);
        }
      }
      return end;
    },

    async embed(request) {
      const model = provider(request).embeddingModel(request.model);
      const { input } = request;
      if (typeof input === 'string') {
        const { embedding, usage } = await sdk.embed({ model, value: input });
        return { vectors: [embedding], promptTokens: usage.tokens };
      }
      const { embeddings, usage } = await sdk.embedMany({ model, values: input });
      return { vectors: embeddings, promptTokens: usage.tokens };
    },

    describe(error) {
      const last = error.lastError ?? error;
      return {
        class: error.name === last.name ? error.name : `${error.name} of ${last.name}`,
        status: last.statusCode ?? null,
        code: last.data?.error?.code ?? last.code ?? null,
      };
    },
  };
}

function tokens({ inputTokens, outputTokens }) {
  return inputTokens === undefined ? null : { promptTokens: inputTokens, completionTokens: outputTokens };
}
