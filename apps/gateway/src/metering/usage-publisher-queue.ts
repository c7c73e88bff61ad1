import { setTimeout as delay } from 'node:timers/promises';
import { USAGE_JOB, type UsageJob } from '@tollgate/contracts';
import { faultPoint } from '@tollgate/runtime';
import type { Queue } from 'bullmq';
import { v7 as uuidv7 } from 'uuid';

/** How long the queue may take before the ledger is asked directly. */
const ACCEPT_TIMEOUT_MS = 1_000;

/**
 * Adds a job under an id that is fresh for each add: BullMQ ignores an add under an id that it knows, whatever the new
 * content is.
 * @throws the driver's error, or an Error where the queue does not accept within a second. It may have the job then.
 */
export async function addUsageJob(queue: Queue<UsageJob>, job: UsageJob): Promise<void> {
  const timeout = new AbortController();
  const added = queue.add(USAGE_JOB, job, { jobId: `u-${uuidv7()}` });
  // The add goes on after the time-out; its rejection then is nobody's.
  added.catch(() => undefined);
  const late = delay(ACCEPT_TIMEOUT_MS, undefined, { signal: timeout.signal }).then(() => {
    throw new Error(`not accepted within ${String(ACCEPT_TIMEOUT_MS)} ms`);
  });
  try {
    await Promise.race([added, late]);
    faultPoint('g.settle.sent');
  } finally {
    timeout.abort();
    late.catch(() => undefined);
  }
}
