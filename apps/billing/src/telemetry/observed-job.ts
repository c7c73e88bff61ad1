import { USAGE_QUEUE, requestIdToWire, type ParsedUsageJob } from '@tollgate/contracts';
import { NO_SPAN, type Span, type Tracing } from '@tollgate/runtime';
import type { BillingMetrics } from './billing-metrics.js';

/** What of BullMQ's job is told. */
interface TakenJob {
  readonly id?: string | undefined;
  readonly attemptsMade: number;
}

/**
 * Settles a job under observation. Only jobs that carry traced requests have spans: one for the job, and one in the trace of
 * each of those requests, linked to it.
 */
export async function observeJob(
  watched: { readonly metrics: BillingMetrics; readonly tracing: Tracing },
  job: { readonly taken: TakenJob; readonly content: ParsedUsageJob },
  settle: () => Promise<void>,
): Promise<void> {
  const { metrics, tracing } = watched;
  const startedAtMs = performance.now();
  const spans = beginSpans(tracing, job);
  try {
    await settle();
    const nowMs = Date.now();
    for (const { finishedAt } of job.content.events) {
      metrics.settleDelay.observe(Math.max(0, nowMs - Date.parse(finishedAt)) / 1_000);
    }
  } catch (error) {
    metrics.jobFailures.add();
    for (const span of spans) span.fail(error instanceof Error ? error.name : 'error');
    throw error;
  } finally {
    metrics.jobDuration.observe((performance.now() - startedAtMs) / 1_000);
    for (const span of spans) span.end();
  }
}

function beginSpans(
  tracing: Tracing,
  { taken, content }: { readonly taken: TakenJob; readonly content: ParsedUsageJob },
): Span[] {
  const traced = content.events.flatMap(({ requestId }) => {
    const parent = content.traces.get(requestId);
    return parent === undefined ? [] : [{ requestId, parent }];
  });
  if (traced.length === 0) return [];
  const jobSpan = tracing.begin('settle usage job', {
    kind: 'consumer',
    // The gateway's sampler has decided about these requests; deciding anew would tear their traces apart.
    isForced: true,
    attributes: {
      'messaging.system': 'bullmq',
      'messaging.destination.name': USAGE_QUEUE,
      'messaging.operation.type': 'process',
      'messaging.message.id': taken.id ?? '',
      'messaging.batch.message_count': content.events.length,
      'tollgate.attempt': taken.attemptsMade + 1,
    },
  });
  if (jobSpan === NO_SPAN) return [];
  const links = jobSpan.traceparent === null ? [] : [jobSpan.traceparent];
  const settleSpans = traced.map(({ requestId, parent }) =>
    tracing.begin('settle usage', {
      kind: 'consumer',
      isForced: true,
      parent,
      links,
      attributes: { 'tollgate.request_id': requestIdToWire(requestId) },
    }),
  );
  return [jobSpan, ...settleSpans];
}
