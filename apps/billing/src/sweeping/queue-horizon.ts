import { USAGE_JOB_VERSIONS } from '@tollgate/contracts';
import type { Job, JobType, Queue } from 'bullmq';

/** Jobs that are looked at; with more waiting nobody can say how old the oldest is. */
const LOOKED_AT_MAX = 100;
/** Jobs move from the first to the last, and back from there: whoever looks in this order misses none that moved once. */
const STATES = ['delayed', 'waiting', 'active', 'delayed'] as const satisfies readonly JobType[];

/**
 * The time before which no usage event was published that still waits to be settled: now, if none waits; null if too many
 * wait to tell. Jobs of a version that this build does not read count for nothing: they may wait for days, and what is
 * swept meanwhile is corrected when they are settled. The times are the publishers', so their clocks have to agree with
 * Postgres' to a few seconds; where they do not, something may be swept too early, and is corrected too.
 */
export async function readQueueHorizon(queue: Queue): Promise<Date | null> {
  let clearUntilMs = Date.now();
  const counts = await queue.getJobCounts('waiting', 'active', 'delayed');
  if (Object.values(counts).reduce((sum, count) => sum + count, 0) > LOOKED_AT_MAX) return null;
  for (const state of STATES) {
    for (const job of await queue.getJobs([state], 0, LOOKED_AT_MAX - 1, true)) {
      if (isReadable(job)) clearUntilMs = Math.min(clearUntilMs, job.timestamp);
    }
  }
  return new Date(clearUntilMs);
}

/** A job may be gone between the reading of its id and of itself. */
function isReadable(job: Job<{ version?: unknown }> | undefined): job is Job<{ version?: unknown }> {
  return USAGE_JOB_VERSIONS.some((version) => version === job?.data?.version);
}
