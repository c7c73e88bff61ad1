import { SSE_DONE, encodeSseEvent, type ChatRequest } from '@tollgate/openai';
import type { DemoAnswer } from './answer.js';

/** Everything that the bytes of one completion depend on. */
export interface Completion {
  readonly id: string;
  readonly createdS: number;
  readonly request: ChatRequest;
  readonly promptTokens: number;
  readonly answer: DemoAnswer;
}

/** The body of a completion that is not streamed. */
export function completionBody(completion: Completion): unknown {
  const { answer, request } = completion;
  const message = { role: 'assistant', content: answer.pieces.join(''), refusal: null, annotations: [] };
  return {
    id: completion.id,
    object: 'chat.completion',
    created: completion.createdS,
    model: request.model,
    choices: choiceIndexes(request).map((index) => ({
      index,
      message,
      logprobs: null,
      finish_reason: answer.finishReason,
    })),
    usage: usage(completion),
    service_tier: 'default',
    system_fingerprint: null,
  };
}

/** The frames of a streamed completion, in order, each a whole event. */
export function* completionFrames(completion: Completion): Generator<string> {
  const { answer, request } = completion;
  const indexes = choiceIndexes(request);
  for (const index of indexes) {
    yield frame(completion, [choice(index, { role: 'assistant', content: '', refusal: null }, null)]);
  }
  for (const content of answer.pieces) {
    for (const index of indexes) yield frame(completion, [choice(index, { content }, null)]);
  }
  for (const index of indexes) yield frame(completion, [choice(index, {}, answer.finishReason)]);
  if (request.includeUsage) yield frame(completion, [], usage(completion));
  yield encodeSseEvent(SSE_DONE);
}

function frame(completion: Completion, choices: unknown[], usageOfAll: unknown = null): string {
  const { id, createdS, request } = completion;
  return encodeSseEvent(
    JSON.stringify({
      id,
      object: 'chat.completion.chunk',
      created: createdS,
      model: request.model,
      service_tier: 'default',
      system_fingerprint: null,
      choices,
      // Where usage was asked for, every chunk but the last carries null; otherwise the key is absent.
      ...(request.includeUsage ? { usage: usageOfAll } : {}),
    }),
  );
}

function choice(index: number, delta: unknown, finishReason: string | null): unknown {
  return { index, delta, logprobs: null, finish_reason: finishReason };
}

function choiceIndexes(request: ChatRequest): number[] {
  return Array.from({ length: request.choices }, (_, index) => index);
}

function usage({ promptTokens, answer, request }: Completion): unknown {
  const completionTokens = answer.tokens * request.choices;
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    prompt_tokens_details: { cached_tokens: 0, audio_tokens: 0 },
    completion_tokens_details: {
      reasoning_tokens: 0,
      audio_tokens: 0,
      accepted_prediction_tokens: 0,
      rejected_prediction_tokens: 0,
    },
  };
}
