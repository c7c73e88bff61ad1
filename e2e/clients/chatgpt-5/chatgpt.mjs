import { ChatGPTAPI } from 'chatgpt';

/** A client for `serve`. Without `fetch` the package uses the one of Node. */
export function chatGpt({ fetch } = {}) {
  const open = ({ baseUrl, apiKey, model, temperature }) =>
    new ChatGPTAPI({
      apiBaseUrl: baseUrl,
      apiKey,
      completionParams: { model, ...(temperature !== undefined && { temperature }) },
      ...(fetch !== undefined && { fetch }),
    });
  return {
    async text(request) {
      const { text, detail } = await open(request).sendMessage(request.prompt);
      return { text, finishReason: detail.choices[0].finish_reason, usage: tokens(detail.usage) };
    },

    async stream(request, { say, signal }) {
      const { detail } = await open(request).sendMessage(request.prompt, {
        abortSignal: signal,
        onProgress: ({ delta }) => {
          if (delta) say(delta);
        },
      });
      return { finishReason: detail.choices[0].finish_reason, usage: null };
    },

    /** The code is only in the text of the message. */
    describe: (error) => ({
      class: error.constructor.name === 'ChatGPTError' ? 'ChatGPTError' : error.name,
      status: error.statusCode ?? null,
      code: /"code":"(\w+)"/.exec(error.message)?.[1] ?? null,
    }),
  };
}

function tokens({ prompt_tokens, completion_tokens }) {
  return { promptTokens: prompt_tokens, completionTokens: completion_tokens };
}
