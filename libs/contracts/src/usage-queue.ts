import { z } from 'zod';
import { usageEventSchema, type UsageEvent } from './usage-event.js';

/** The BullMQ queue between gateway and billing. */
export const USAGE_QUEUE = 'usage';

/** Name of the jobs in it. */
export const USAGE_JOB = 'usage-batch';

/** The version of `UsageJob` that every build reads. */
export const USAGE_JOB_VERSION = 1;

/** Versions of `UsageJob` that this build reads. Events of the second may name an escrow or be swept. */
export const USAGE_JOB_VERSIONS = [1, 2] as const;
export type UsageJobVersion = (typeof USAGE_JOB_VERSIONS)[number];

/**
 * The version that a job with these events has: the lowest that can say what is in it, so that a worker of the build before
 * takes all that it understands and leaves the rest to one of this build.
 */
export function usageJobVersion(events: readonly UsageEvent[]): UsageJobVersion {
  return events.some(({ escrowId, swept }) => escrowId !== undefined || swept !== undefined) ? 2 : 1;
}

/** Events that one job carries at most. */
export const USAGE_JOB_EVENTS_MAX = 200;

/** A batch of usage events. The ids of jobs are made fresh for each add: the ledger's unique key is what deduplicates. */
export interface UsageJob {
  readonly version: UsageJobVersion;
  readonly events: readonly UsageEvent[];
  /**
   * W3C `traceparent` by request id, of those requests only whose trace is recorded. It stands beside the events and not in
   * them: their schema is strict, and a worker that does not know this member has to read them all the same.
   */
  readonly traces?: Readonly<Record<string, string>>;
}

/** A job of a version that this build does not know. It is left for a build that does, never acknowledged. */
export class UnknownUsageJobVersionError extends Error {
  override readonly name = 'UnknownUsageJobVersionError';
}

const envelopeSchema = z.object({
  version: z.unknown(),
  events: z.array(z.unknown()).max(10_000),
  // What cannot be read of it is not worth a word: events matter, traces do not.
  traces: z.record(z.string(), z.string().max(100)).catch({}).default({}),
});

/** A job's content: the events that are well formed, and those that are not, as they came, each with the reason. */
export interface ParsedUsageJob {
  readonly events: UsageEvent[];
  readonly malformed: { readonly body: unknown; readonly reason: string }[];
  /** `traceparent` by request id, of requests whose trace is recorded. */
  readonly traces: ReadonlyMap<string, string>;
}

/**
 * Reads a job's data. One malformed event never hides the others.
 * @throws UnknownUsageJobVersionError for another version, or for data that has no version at all.
 */
export function parseUsageJob(data: unknown): ParsedUsageJob {
  const envelope = envelopeSchema.safeParse(data);
  if (!envelope.success || !USAGE_JOB_VERSIONS.some((version) => version === envelope.data.version)) {
    const version = envelope.success ? JSON.stringify(envelope.data.version) : 'none';
    throw new UnknownUsageJobVersionError(
      `usage job of contract version ${version}; this build reads ${USAGE_JOB_VERSIONS.join(' and ')}`,
    );
  }
  const traces = new Map(Object.entries(envelope.data.traces));
  const parsed: ParsedUsageJob = { events: [], malformed: [], traces };
  for (const body of envelope.data.events) {
    const event = usageEventSchema.safeParse(body);
    if (event.success) parsed.events.push(event.data);
    else parsed.malformed.push({ body, reason: z.prettifyError(event.error) });
  }
  return parsed;
}

const RETRY_DELAY_MIN_MS = 250;
const RETRY_DELAY_MAX_MS = 30_000;

/** Milliseconds before a job that could not be settled is tried again: doubling from 250 ms, at most 30 s. */
export function usageRetryDelayMs(attemptsMade: number): number {
  return Math.min(RETRY_DELAY_MIN_MS * 2 ** Math.min(attemptsMade, 16), RETRY_DELAY_MAX_MS);
}

/** How usage jobs are added: tried for ever, forgotten once settled, because the ledger remembers. */
export const USAGE_JOB_OPTIONS = {
  attempts: 1_000_000_000,
  backoff: { type: 'custom' },
  removeOnComplete: true,
  removeOnFail: false,
} as const;
