import { upstreamText, upstreamVectors, type Outcome } from './client-run.js';
import type { RealClient } from './clients.js';
import { SCENARIOS, type AnswerName } from './scenarios.js';

/** Checks that a client got, by one request, what the upstream delivered. @throws what `expect` throws. */
export function expectAnswer(client: RealClient, name: AnswerName, outcome: Outcome): void {
  const { reply, requests, delivery } = outcome;
  expect(reply.error).toBeUndefined();
  expect(requests.map(({ status }) => status)).toEqual([200]);
  const { answer } = reply;
  const { operation } = SCENARIOS[name];
  if (operation === 'abort') {
    // Which of its errors ends an aborted stream is the client's affair; that the upstream stopped was waited for.
    expect(answer?.pieces?.length).toBeGreaterThanOrEqual(5);
    return;
  }
  expect(delivery).toMatchObject({ ended: true, clientAborted: false });
  const usage: any = delivery?.usage;
  if (operation === 'embed') {
    expect(answer?.vectors).toEqual(upstreamVectors(client, name));
    expect([usage.prompt_tokens, null]).toContain(answer?.promptTokens);
    return;
  }
  expect((answer?.text ?? '') || answer?.pieces?.join('')).toBe(upstreamText(name));
  if (operation === 'collect') expect(answer?.pieces?.join('')).toBe(answer?.text);
  expect(answer?.finishReason).toBe('stop');
  const shown = { promptTokens: usage.prompt_tokens, completionTokens: usage.completion_tokens };
  expect(answer?.usage).toEqual(operation === 'text' || client.streamsUsage ? shown : null);
}
