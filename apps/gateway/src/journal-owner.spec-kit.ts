import { createInterface } from 'node:readline';
import { USAGE_JOB_OPTIONS, USAGE_QUEUE, type UsageEvent, type UsageJob } from '@tollgate/contracts';
import { poolSql, settleBatch } from '@tollgate/ledger';
import { createPool } from '@tollgate/persistence';
import { Health, ProcessMetrics, connectQueues, createLogger } from '@tollgate/runtime';
import { Queue } from 'bullmq';
import { checkPorts } from './gateway-journal.js';
import { UsagePublisher } from './metering/usage-publisher.js';
import { GatewayMetrics } from './telemetry/gateway-metrics.js';
import { JournalCheck } from './journal/journal-check.js';
import { Journal } from './journal/journal.js';

// A process that keeps a journal as a gateway does, on the real queue and database, and does what it is told on its standard
// input: one JSON a line, answered by one JSON a line. journal/journal.spec-kit.ts starts it.

export interface OwnerOptions {
  readonly root: string;
  readonly databaseUrl: string;
  readonly redisUrl?: string;
  readonly intervalMs?: number;
  readonly republishAfterMs?: number;
}

export type OwnerCommand =
  | { readonly do: 'begun'; readonly event: UsageEvent }
  | { readonly do: 'checkpoint'; readonly event: UsageEvent }
  /** Into the journal alone: as if the process died before it came to publish. */
  | { readonly do: 'append'; readonly events: readonly UsageEvent[] }
  /** Takes the event of a finished request, whose answer ends then, and is killed in that moment. */
  | { readonly do: 'die'; readonly event: UsageEvent }
  | { readonly do: 'publish'; readonly events: readonly UsageEvent[] }
  | { readonly do: 'check' }
  | { readonly do: 'state' };

export interface OwnerState {
  readonly folder: string;
  readonly unknownEvents: number;
  readonly damagedLines: number;
}

async function own(options: OwnerOptions): Promise<void> {
  const logger = createLogger('test', 'silent');
  const pool = createPool({ url: options.databaseUrl, max: 2, name: 'journal-owner' });
  const queue = new Queue<UsageJob>(USAGE_QUEUE, {
    connection: connectQueues({
      databaseUrl: options.databaseUrl,
      redisUrl: options.redisUrl,
      use: 'add',
      connectionsMax: 2,
    }),
    defaultJobOptions: USAGE_JOB_OPTIONS,
  });
  queue.on('error', () => undefined);
  const journal = await Journal.open({ ...options, logger });
  const ports = {
    queue,
    logger,
    counts: new GatewayMetrics(new ProcessMetrics('gateway', new Health())).events,
    settleDirectly: async (events: readonly UsageEvent[]) => {
      await settleBatch(poolSql(pool), events);
    },
    onAccepted: async () => undefined,
  };
  const publisher = new UsagePublisher({ ...ports, journal });
  const check = new JournalCheck(journal, checkPorts(ports, pool), options);
  const obey = async (command: OwnerCommand): Promise<unknown> => {
    switch (command.do) {
      case 'begun':
        return journal.begun(command.event);
      case 'checkpoint':
        return journal.checkpoint(command.event);
      case 'append':
        return journal.append(command.events);
      case 'die':
        publisher.publish(command.event);
        return process.kill(process.pid, 'SIGKILL');
      case 'publish':
        for (const event of command.events) publisher.publish(event);
        return publisher.flush();
      case 'check':
        return check.run();
      case 'state':
        return {
          folder: journal.folder.path,
          unknownEvents: journal.book.unknownEvents,
          damagedLines: check.damagedLines,
        };
    }
  };
  for await (const line of createInterface(process.stdin)) {
    const answer = await obey(JSON.parse(line)).then(
      (value) => ({ value: value ?? null }),
      (error: unknown) => ({ error: String(error) }),
    );
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  }
  process.exit(0);
}

void own(JSON.parse(process.argv[2] ?? '{}'));
