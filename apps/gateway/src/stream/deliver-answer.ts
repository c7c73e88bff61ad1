import { performance } from 'node:perf_hooks';
import { SSE_DONE, encodeSseEvent } from '@tollgate/openai';
import { formatAmount } from '@tollgate/pricing';
import { faultPoint } from '@tollgate/runtime';
import type { UsageMeter } from '../metering/usage-meter.js';
import { GatewayError } from '../relay/gateway-errors.js';
import type { AnswerStream } from '../upstream/answer-stream.js';
import {
  affordableOutputTokens,
  type OpenedAnswer,
  type RelayedRequest,
} from '../upstream/upstream-attempts.js';
import { asAttemptFailure, AttemptFailedError } from '../upstream/attempts.js';
import { ClientClosedError } from '../http/client-connection.js';

const STREAM_DURATION_MAX_MS = 60 * 60 * 1_000;
const STREAM_BYTES_MAX = 512 * 1024 * 1024;

/**
 * Bytes of output that are taken for one token where a hold has to cover them: fewer than an estimate of the cost takes,
 * because the provider's own count, which is charged where it comes, may be above the estimate (docs/decisions/0012).
 */
const HELD_BYTES_PER_TOKEN = 3;

const END = encodeSseEvent(SSE_DONE);

/** Sends what completes the client's answer. */
export type SendEnd = () => void;

/**
 * Gives an opened answer to the client, all but its end, and tells the meter how that ended. The end is the caller's to send, once
 * the usage is noted. Never throws once the head is written.
 */
export async function deliverAnswer(relayed: RelayedRequest, opened: OpenedAnswer): Promise<SendEnd> {
  return opened.kind === 'stream' ? deliverStream(relayed, opened) : deliverPlain(relayed, opened);
}

/** A plain answer is its end. */
function deliverPlain(relayed: RelayedRequest, opened: Extract<OpenedAnswer, { kind: 'plain' }>): SendEnd {
  const { meter, client, hold, plan } = relayed;
  const { answer, form } = opened;
  const { headers, members } = plan.request.answer;
  meter.report(answer.usage, capSent(relayed));
  if (client.isClosed) throw new ClientClosedError('the client left');
  meter.forwardedBytes = answer.outputBytes;
  meter.wasDelivered = !answer.isEmpty;
  meter.outcome = 'completed';
  client.whenClosed(null);
  const body = JSON.stringify({ ...members, ...answer.body, usage: form.writeUsage(meter.usage()) });
  const costNano = meter.costNano();
  return () =>
    void client.reply
      .headers({
        ...headers,
        'content-type': 'application/json',
        'x-credits-charged': formatAmount(costNano),
        'x-credits-remaining': formatAmount(hold.availableNano + hold.grantedNano - costNano),
      })
      .send(body);
}

/** The output cap that the upstream was given for all choices together, if any. */
function capSent(relayed: RelayedRequest): number | null {
  const { request } = relayed.plan;
  const each = affordableOutputTokens(relayed) ?? request.outputTokensCap;
  return each === null ? null : each * request.choices;
}

async function deliverStream(
  relayed: RelayedRequest,
  opened: Extract<OpenedAnswer, { kind: 'stream' }>,
): Promise<SendEnd> {
  const { client, hold, meter, observed } = relayed;
  const { source } = opened;
  observed.streamBegins();
  hold.whenLost(() => source.response.abort('the hold was not renewed'));
  try {
    client.begin(relayed.plan.request.answer.headers);
    const end = (await forward(relayed, source, opened.first)) ?? complete(relayed, source);
    return () => client.end(end);
  } catch (error) {
    source.response.abort('the stream ended');
    if (client.isClosed || error instanceof ClientClosedError) {
      meter.outcome = 'client_closed';
      meter.report(source.reader.usage, capSent(relayed));
      return () => undefined;
    }
    const end = hold.isLost
      ? cutOff(relayed, source, 'billing_unavailable')
      : failedInStream(relayed, source, error);
    return () => client.end(end);
  } finally {
    observed.streamEnds();
    client.whenClosed(null);
  }
}

/** Forwards piece by piece. Answers null at the end of the upstream's stream, else what ends a stream that is cut off. */
async function forward(
  relayed: RelayedRequest,
  source: AnswerStream,
  first: Promise<string | null>,
): Promise<string | null> {
  const { client, hold, meter, plan, observed } = relayed;
  const { reader } = source;
  let hasBegun = false;
  for (let piece = await first; piece !== null; piece = await source.next()) {
    if (hold.noticeLoss()) return cutOff(relayed, source, 'billing_unavailable');
    const covered = hold.covers(
      Math.max(reader.outputDeltas, Math.ceil(reader.outputBytes / HELD_BYTES_PER_TOKEN)),
    );
    if (covered !== true && !(await covered)) return cutOff(relayed, source, 'balance_ended');
    const written = client.write(piece);
    meter.forwardedBytes = reader.outputBytes;
    if (!meter.wasDelivered && reader.outputBytes > 0) {
      meter.wasDelivered = true;
      observed.firstToken();
    }
    if (!hasBegun) hold.answerBegins(() => meter.checkpoint(reader.usage, capSent(relayed)));
    hasBegun = true;
    if (written !== true) await written;
    faultPoint('g.stream.chunk');
    const isTooLong =
      performance.now() - plan.startedAtMs > STREAM_DURATION_MAX_MS || client.bytesWritten > STREAM_BYTES_MAX;
    if (isTooLong) return cutOff(relayed, source, 'stream_failed');
  }
  return null;
}

/** The end of a stream that came to its own: what the upstream left out, the usage chunk, the sentinel. */
function complete(relayed: RelayedRequest, source: AnswerStream): string {
  const { meter } = relayed;
  const tail = source.reader.finish();
  meter.outcome = 'completed';
  meter.report(source.reader.usage, capSent(relayed));
  return tail + usageChunk(source, meter) + END;
}

/** The end of a stream that we cut off: finish chunk `length`, usage chunk, error frame, sentinel, in this order. */
function cutOff(
  relayed: RelayedRequest,
  source: AnswerStream,
  reason: 'balance_ended' | 'billing_unavailable' | 'stream_failed',
): string {
  const { meter } = relayed;
  source.response.abort(reason);
  meter.outcome = 'cut_off';
  meter.report(source.reader.usage, capSent(relayed));
  const finish = source.reader.writeFinish('length');
  return finish + usageChunk(source, meter) + errorFrame(new GatewayError(reason)) + END;
}

function failedInStream(relayed: RelayedRequest, source: AnswerStream, error: unknown): string {
  const { meter, plan } = relayed;
  const failure = asAttemptFailure(error);
  if (!(failure instanceof AttemptFailedError)) throw error;
  relayed.observed.attemptFailed(failure.failure.kind);
  const isTimeout = failure.failure.kind === 'timeout';
  meter.outcome = isTimeout ? 'timeout' : 'upstream_failed';
  meter.report(source.reader.usage, capSent(relayed));
  const entry = isTimeout ? 'upstream_timeout' : 'stream_failed';
  return errorFrame(new GatewayError(entry, { model: plan.request.model }, { cause: error })) + END;
}

function usageChunk(source: AnswerStream, meter: UsageMeter): string {
  return source.reader.writeUsage(source.form.writeUsage(meter.usage()));
}

function errorFrame(error: GatewayError): string {
  return encodeSseEvent(JSON.stringify(error.envelope));
}
