import { setTimeout as delay } from 'node:timers/promises';
import { getQueueToken } from '@nestjs/bullmq';
import {
  Inject,
  Injectable,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { USAGE_QUEUE } from '@tollgate/contracts';
import { countOpenDeadLetters } from '@tollgate/persistence';
import { repeatTask } from '@tollgate/runtime';
import type { JobType, Queue } from 'bullmq';
import type { Pool } from 'pg';
import { z } from 'zod';
import { BILLING_CONTEXT, BILLING_POOL, type BillingContext } from '../billing-context.js';
import type { Backlog } from './billing-metrics.js';

const INTERVAL_MS = 5_000;
const QUESTION_TIMEOUT_MS = 4_000;
const STATES = ['waiting', 'active', 'delayed', 'failed'] as const satisfies readonly JobType[];
/** Where an event that is not settled can be. */
const STATES_LOOKED_AT = ['waiting', 'active', 'delayed'] as const;
/** Jobs of each among which the oldest is looked for: those that wait to be tried again are not sorted by age. */
const LOOKED_AT_MAX = 20;

/** The first event of a job is its oldest. */
const jobDataSchema = z.object({ events: z.array(z.object({ finishedAt: z.iso.datetime() })).min(1) });

/** Looks every five seconds at what waits for billing, so that scrapes ask nobody. */
@Injectable()
export class BacklogWatch implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private task: ReturnType<typeof repeatTask> | null = null;

  constructor(
    @Inject(getQueueToken(USAGE_QUEUE)) private readonly queue: Queue,
    @Inject(BILLING_POOL) private readonly pool: Pool,
    @Inject(BILLING_CONTEXT) private readonly context: BillingContext,
  ) {}

  onApplicationBootstrap(): void {
    // The worker of the same queue tells that it is away.
    this.queue.on('error', () => undefined);
    this.task = repeatTask({ intervalMs: INTERVAL_MS, run: () => this.look(), onError: () => undefined });
    void this.look();
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.task?.stop();
  }

  /** Whoever does not answer is shown as not known; that it is away, others have logged. */
  private async look(): Promise<void> {
    const { metrics } = this.context;
    [metrics.backlog, metrics.openDeadLetters] = await Promise.all([
      answerOrNull(readBacklog(this.queue)),
      answerOrNull(countOpenDeadLetters(this.pool)),
    ]);
  }
}

/** What waits in the queue, on either of BullMQ's stores. */
export async function readBacklog(queue: Queue): Promise<Backlog> {
  const jobs = await queue.getJobCounts(...STATES);
  const looked = await Promise.all(
    STATES_LOOKED_AT.map(async (state) => {
      const count = jobs[state] ?? 0;
      // Newest first: the order in which both stores count places.
      return count === 0 ? [] : queue.getJobs([state], Math.max(0, count - LOOKED_AT_MAX), count - 1, false);
    }),
  );
  const ages = looked.flat().map(({ data, timestamp }) => {
    const parsed = jobDataSchema.safeParse(data);
    const first = parsed.success ? parsed.data.events[0] : undefined;
    return first === undefined ? timestamp : Date.parse(first.finishedAt);
  });
  return { jobs, oldestEventAtMs: ages.length === 0 ? null : Math.min(...ages) };
}

async function answerOrNull<T>(answer: Promise<T>): Promise<T | null> {
  const timeout = new AbortController();
  const late = delay(QUESTION_TIMEOUT_MS, null, { signal: timeout.signal }).catch(() => null);
  const found = await Promise.race([answer.catch(() => null), late]);
  timeout.abort();
  return found;
}
