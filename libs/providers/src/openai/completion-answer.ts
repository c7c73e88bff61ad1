import { isJsonObject, type JsonObject } from '@tollgate/openai';
import { createdAt, parseAnswer } from './chat-answer.js';
import { finishReason } from './finish-reason.js';
import { NoAnswerError, type AnswerIdentity, type PlainAnswer } from './upstream-form.js';

/**
 * Reads a plain answer of the completions or the chat API and writes it as a legacy completion.
 * @throws NoAnswerError for a body that is not JSON or has no choices; FailedFinishError.
 */
export function readCompletionAnswer(text: string, identity: AnswerIdentity): PlainAnswer {
  const { body, choices: sources } = parseAnswer(text);
  const choices = sources.map((source: unknown, position) => readChoice(source, position));
  const outputBytes = choices.reduce((sum, choice) => sum + Buffer.byteLength(choice.text), 0);
  return {
    body: {
      id: `cmpl-${identity.key}`,
      object: 'text_completion',
      created: createdAt(body, identity),
      model: identity.model,
      choices,
      system_fingerprint: body.system_fingerprint ?? null,
    },
    usage: body.usage,
    outputBytes,
    isEmpty: outputBytes === 0,
  };
}

function readChoice(source: unknown, position: number): JsonObject & { text: string } {
  if (!isJsonObject(source)) throw new NoAnswerError('the upstream answered a choice that is no object');
  return {
    text: completionText(source, 'message'),
    index: typeof source.index === 'number' ? source.index : position,
    logprobs: 'message' in source ? null : (source.logprobs ?? null),
    finish_reason: finishReason(source.finish_reason) ?? 'stop',
  };
}

/** The text of a choice, whichever of the two APIs it comes from. */
export function completionText(choice: JsonObject, part: 'message' | 'delta'): string {
  const said = choice[part];
  const text = choice.text ?? (isJsonObject(said) ? said.content : undefined);
  return typeof text === 'string' ? text : '';
}
