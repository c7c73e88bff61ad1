/** The five reasons that OpenAI gives. */
const KNOWN: ReadonlySet<string> = new Set([
  'stop',
  'length',
  'tool_calls',
  'content_filter',
  'function_call',
]);

const TRANSLATED: { readonly [reason: string]: string } = {
  sensitive: 'content_filter',
  model_context_window_exceeded: 'length',
  max_tokens: 'length',
};

/** Reasons by which vendors say that they failed, in an answer that looks like a success. */
const FAILURES: ReadonlySet<string> = new Set(['insufficient_system_resource', 'network_error', 'error']);

/** A provider ended its answer by saying that it failed. */
export class FailedFinishError extends Error {
  override readonly name = 'FailedFinishError';
}

/**
 * The finish reason that clients get: one of OpenAI's five, or null while the answer goes on.
 * @throws FailedFinishError where the vendor's reason means that it failed.
 */
export function finishReason(reason: unknown): string | null {
  if (typeof reason !== 'string' || reason === '') return null;
  if (KNOWN.has(reason)) return reason;
  if (FAILURES.has(reason)) throw new FailedFinishError(`the upstream finished with ${reason}`);
  return TRANSLATED[reason] ?? 'stop';
}
