import { getQueueToken } from '@nestjs/bullmq';
import type { Provider } from '@nestjs/common';
import {
  USAGE_JOB_EVENTS_MAX,
  USAGE_QUEUE,
  parseUsageJob,
  type UsageEvent,
  type UsageJob,
} from '@tollgate/contracts';
import { knownRequests, poolSql, settleBatch, SettlementMetrics } from '@tollgate/ledger';
import type { Queue } from 'bullmq';
import type { Pool } from 'pg';
import { z } from 'zod';
import { GATEWAY_CONTEXT, GATEWAY_POOL, type GatewayContext } from './gateway-context.js';
import { LiveHolds } from './hold/live-holds.js';
import { JournalCheck, type CheckPorts } from './journal/journal-check.js';
import { Journal } from './journal/journal.js';
import { UsageReplay } from './metering/usage-publisher-replay.js';
import { UsagePublisher, type PublisherPorts } from './metering/usage-publisher.js';

/** Token of the journal; null where JOURNAL_DIR is not set: then finished events wait in memory. */
export const GATEWAY_JOURNAL = Symbol('GATEWAY_JOURNAL');

/** Token of what compares the journal with Postgres; null with it. */
export const JOURNAL_CHECK = Symbol('JOURNAL_CHECK');

const PUBLISHER_PORTS = Symbol('PUBLISHER_PORTS');

const historySchema = z.object({ history: z.string() });

/** How usage events leave the gateway. */
export const PUBLISHING_PROVIDERS: Provider[] = [
  {
    provide: GATEWAY_JOURNAL,
    inject: [GATEWAY_CONTEXT],
    useFactory: ({ config, logger }: GatewayContext) =>
      config.JOURNAL_DIR === undefined ? null : Journal.open({ root: config.JOURNAL_DIR, logger }),
  },
  {
    provide: PUBLISHER_PORTS,
    inject: [getQueueToken(USAGE_QUEUE), GATEWAY_POOL, LiveHolds, GATEWAY_CONTEXT],
    useFactory: (
      queue: Queue<UsageJob>,
      pool: Pool,
      holds: LiveHolds,
      context: GatewayContext,
    ): Omit<PublisherPorts, 'journal'> => {
      const { logger, metrics, processMetrics } = context;
      const settlements = new SettlementMetrics(processMetrics);
      // An error that nobody hears BullMQ writes to standard error as it is.
      queue.on('error', (error) => logger.warn({ err: error }, 'the queue could not be reached'));
      return {
        queue,
        logger,
        settleDirectly: async (events) => {
          settlements.count(await settleBatch(poolSql(pool), events));
        },
        counts: metrics.events,
        onAccepted: (events) =>
          holds.close(
            events.map(({ requestId, accountId, costNano }) => ({
              requestId,
              accountId,
              costNano: BigInt(costNano),
            })),
          ),
      };
    },
  },
  {
    provide: UsagePublisher,
    inject: [PUBLISHER_PORTS, GATEWAY_JOURNAL, LiveHolds],
    useFactory: (
      ports: Omit<PublisherPorts, 'journal'>,
      journal: Journal | null,
      holds: LiveHolds,
    ): UsagePublisher => {
      const publisher = new UsagePublisher({ ...ports, journal });
      holds.onCheckpoint = (checkpoint) => publisher.checkpoint(checkpoint);
      return publisher;
    },
  },
  {
    provide: JOURNAL_CHECK,
    inject: [GATEWAY_JOURNAL, PUBLISHER_PORTS, GATEWAY_POOL],
    useFactory: (journal: Journal | null, ports: Omit<PublisherPorts, 'journal'>, pool: Pool) =>
      journal === null ? null : new JournalCheck(journal, checkPorts(ports, pool)),
  },
];

/** What the check of the journal asks and tells the rest of the gateway. */
export function checkPorts(ports: Omit<PublisherPorts, 'journal'>, pool: Pool): CheckPorts {
  const replay = new UsageReplay(ports);
  return {
    knownRequests: (requestIds) => knownRequests(poolSql(pool), requestIds),
    history: async () => {
      const { rows } = await pool.query(
        "SELECT system_identifier || '/' || timeline_id AS history FROM pg_control_system(), pg_control_checkpoint()",
      );
      return historySchema.parse(rows[0]).history;
    },
    publish: (batch, isFirst) => replay.publish(batch, isFirst),
    settleDirectly: (batch) => replay.settleDirectly(batch),
    // Without a checkpoint nothing was delivered: its hold expires free, by itself.
    sweep: async (requests) => {
      const swept = requests.flatMap(({ checkpoint, contract }): UsageEvent[] =>
        checkpoint === null
          ? []
          : parseUsageJob({ version: contract, events: [checkpoint] }).events.map((event) => ({
              ...event,
              swept: true,
            })),
      );
      for (let from = 0; from < swept.length; from += USAGE_JOB_EVENTS_MAX) {
        await ports.settleDirectly(swept.slice(from, from + USAGE_JOB_EVENTS_MAX));
      }
    },
    logger: ports.logger,
  };
}
