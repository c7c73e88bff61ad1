import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { USAGE_JOB_OPTIONS, USAGE_QUEUE, type UsageEvent, type UsageJob } from '@tollgate/contracts';
import { knownRequests, poolSql, settleBatch } from '@tollgate/ledger';
import { createPool } from '@tollgate/persistence';
import { Health, MasterKey, ProcessMetrics, connectQueues, createLogger } from '@tollgate/runtime';
import {
  createTestDatabase,
  seedInstallation,
  usageEventOf,
  type SeededInstallation,
  type TestDatabase,
} from '@tollgate/testing';
import { Queue } from 'bullmq';
import { Client, type Pool } from 'pg';
import { checkPorts } from '../gateway-journal.js';
import { UsagePublisher } from '../metering/usage-publisher.js';
import { GatewayMetrics } from '../telemetry/gateway-metrics.js';
import { JournalCheck } from './journal-check.js';
import { encodeLine } from './journal-line.js';
import { foldersIn, journalRoot } from './journal.spec-kit.js';
import { Journal } from './journal.js';

const MINUTE_MS = 60_000;
const NEVER_MS = 3_600_000;

let database: TestDatabase;
let seeded: SeededInstallation;
let owner: Client;
let pool: Pool;
let awayPool: Pool;
let queue: Queue<UsageJob>;
let root: string;
let nowMs = 0;
let running: { journal: Journal; check: JournalCheck; publisher: UsagePublisher; accepted: string[] }[] = [];
const logger = createLogger('test', 'silent');

beforeAll(async () => {
  database = await createTestDatabase();
  seeded = await seedInstallation({
    ownerUrl: database.ownerUrl,
    masterKey: MasterKey.generate(),
    upstreams: ['http://127.0.0.1:9/v1'],
  });
  owner = new Client({ connectionString: database.ownerUrl });
  await owner.connect();
  pool = createPool({ url: database.appUrl, max: 4, name: 'test' });
  awayPool = createPool({ url: database.appUrl.replace(/:\d+\//, ':1/'), max: 4, name: 'test' });
  const connection = connectQueues({ databaseUrl: database.appUrl, use: 'add', connectionsMax: 2 });
  queue = new Queue<UsageJob>(USAGE_QUEUE, { connection, defaultJobOptions: USAGE_JOB_OPTIONS });
  queue.on('error', () => undefined);
});

afterAll(async () => {
  await Promise.all([queue?.close(), pool?.end(), awayPool?.end(), owner?.end()]);
  await database?.drop();
});

beforeEach(async () => {
  root = journalRoot();
  nowMs = 0;
  await owner.query('DELETE FROM bullmq.job');
});

afterEach(async () => {
  for (const { check, journal } of running) {
    await check.stop();
    await journal.close();
  }
  running = [];
  rmSync(root, { recursive: true, force: true });
});

interface Options {
  readonly pool?: Pool;
  readonly queuedEventsMax?: number;
  /** The ledger answers questions and takes nothing. */
  readonly refuses?: boolean;
}

async function open(options: Options = {}) {
  const accepted: string[] = [];
  const ports = {
    queue,
    logger,
    counts: new GatewayMetrics(new ProcessMetrics('gateway', new Health())).events,
    settleDirectly: options.refuses === true ? () => Promise.reject(new Error('refused')) : settle,
    onAccepted: async (events: readonly UsageEvent[]) => {
      accepted.push(...events.map(({ requestId }) => requestId));
    },
  };
  const journal = await Journal.open({ root, logger, nowMs: () => nowMs, ...options });
  const publisher = new UsagePublisher({ ...ports, journal });
  const check = new JournalCheck(journal, checkPorts(ports, options.pool ?? pool), { intervalMs: NEVER_MS });
  const opened = { journal, check, publisher, accepted };
  running.push(opened);
  return opened;
}

async function close(opened: (typeof running)[number]): Promise<void> {
  running = running.filter((one) => one !== opened);
  await opened.check.stop();
  await opened.journal.close();
}

/** Statements that settled something. */
let settlements = 0;

async function settle(events: readonly UsageEvent[]): Promise<void> {
  settlements += 1;
  await settleBatch(poolSql(pool), events);
}

function event(overrides: Partial<UsageEvent> = {}): UsageEvent {
  return usageEventOf(seeded, overrides);
}

function ids(events: readonly UsageEvent[]): string[] {
  return events.map(({ requestId }) => requestId).sort();
}

/** The texts of the jobs in the queue, as they lie in its table. */
async function jobTexts(): Promise<string[]> {
  const { rows } = await owner.query('SELECT data::text AS data FROM bullmq.job');
  return rows.map(({ data }: { data: string }) => (data.startsWith('"') ? JSON.parse(data) : data));
}

async function queuedIds(): Promise<string[]> {
  const texts = await jobTexts();
  return texts.flatMap((text) => ids(JSON.parse(text).events)).sort();
}

function segments(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.journal'))
    .sort();
}

/** Lays down the folder of a dead process. */
function leaveBehind(name: string, bytes: string | Buffer): string {
  const folder = join(root, name);
  mkdirSync(folder);
  writeFileSync(join(folder, '1.journal'), bytes);
  return folder;
}

describe('the journal and Postgres', () => {
  it('a segment is deleted fifteen minutes after Postgres knows all its events', async () => {
    const dead = leaveBehind(
      'dead',
      [event(), event()].map((one) => encodeLine({ kind: 'event', contract: 1, event: one })).join(''),
    );
    const { check, journal } = await open();
    await check.run();
    expect(existsSync(dead)).toBe(false);
    const texts = await jobTexts();
    const events: UsageEvent[] = JSON.parse(texts[0] ?? '').events;
    await settle(events);
    await check.run();
    expect(journal.book.unknownEvents).toBe(0);
    nowMs += 14 * MINUTE_MS;
    await check.run();
    expect(segments(join(journal.folder.path, 'adopted-dead'))).toEqual(['1.journal']);
    nowMs += MINUTE_MS;
    await check.run();
    expect(existsSync(join(journal.folder.path, 'adopted-dead'))).toBe(false);
  });

  it('Postgres down for longer than any segment’s age: nothing deleted', async () => {
    const events = [event(), event()];
    const line = (one: UsageEvent): string => encodeLine({ kind: 'event', contract: 1, event: one });
    leaveBehind('dead', events.map(line).join(''));
    const { check, journal, publisher } = await open({ pool: awayPool });
    const own = event();
    publisher.publish(own);
    await publisher.flush();
    for (let minutes = 0; minutes < 60; minutes += 15) {
      await expect(check.run()).rejects.toThrow();
      nowMs += 15 * MINUTE_MS;
    }
    expect(journal.book.unknownEvents).toBe(3);
    expect(readFileSync(join(journal.folder.path, 'adopted-dead/1.journal'), 'utf8')).toBe(
      events.map(line).join(''),
    );
    expect(readFileSync(join(journal.folder.path, '1.journal'), 'utf8')).toBe(line(own));
  });

  it('an event that the queue lost is settled after thirty seconds', async () => {
    const { check, publisher, journal } = await open();
    const lost = event();
    publisher.publish(lost);
    await publisher.flush();
    await owner.query('DELETE FROM bullmq.job');
    for (const [seconds, unknown] of [[0, 1] as const, [29, 1] as const, [30, 0] as const]) {
      nowMs = seconds * 1_000;
      await check.run();
      expect(journal.book.unknownEvents).toBe(unknown);
    }
    expect(await queuedIds()).toEqual([]);
    expect([...(await knownRequests(poolSql(pool), [lost.requestId]))]).toEqual([lost.requestId]);
  });

  it('an event that the ledger does not take is published again, ever more rarely', async () => {
    const { check, publisher } = await open({ refuses: true });
    const lost = event();
    publisher.publish(lost);
    await publisher.flush();
    const published: number[] = [];
    for (let seconds = 0; seconds <= 300; seconds += 10) {
      await owner.query('DELETE FROM bullmq.job');
      await check.run();
      if ((await queuedIds()).includes(lost.requestId)) published.push(seconds);
      nowMs += 10_000;
    }
    expect(published).toEqual([30, 90, 210]);
  });

  it('Postgres restored without its last second: usage is settled again from the journal', async () => {
    const { check, journal, publisher } = await open();
    const events = [event(), event(), event()];
    for (const one of events) publisher.publish(one);
    await publisher.flush();
    await settle(events);
    await check.run();
    expect(journal.book.unknownEvents).toBe(0);
    await owner.query('DELETE FROM bullmq.job');
    // What a restore does to the ledger.
    await owner.query('DELETE FROM tollgate.transfer WHERE ref_id = ANY($1)', [ids(events)]);
    await owner.query('DELETE FROM tollgate.usage_record WHERE request_id = ANY($1)', [ids(events)]);
    await close(running[0] as (typeof running)[number]);

    // Known once is not known for ever: the folder is adopted, and compared with this Postgres.
    const heir = await open();
    await heir.check.run();
    expect(await queuedIds()).toEqual(ids(events));
    await settle(events);
    await heir.check.run();
    await owner.query('DELETE FROM bullmq.job');
    await owner.query('DELETE FROM tollgate.usage_record WHERE request_id = ANY($1)', [ids(events)]);
    // Nor before the segment goes.
    nowMs += 16 * MINUTE_MS;
    await heir.check.run();
    await heir.check.run();
    expect(await queuedIds()).toEqual(ids(events));
  });

  it('queue above its bound: events wait in the journal', async () => {
    const { check, journal, publisher, accepted } = await open({ queuedEventsMax: 2 });
    const first = [event(), event()];
    for (const one of first) publisher.publish(one);
    await publisher.flush();
    expect(accepted.sort()).toEqual(ids(first));
    const later = [event(), event(), event()];
    for (const one of later) publisher.publish(one);
    await publisher.flush();
    await check.run();
    // They are safe and take no room, but nobody has accepted them: their holds stay open.
    expect(await queuedIds()).toEqual(ids(first));
    expect(accepted.sort()).toEqual(ids(first));
    expect([publisher.bufferedEvents, publisher.hasRoom, journal.book.unknownEvents]).toEqual([0, true, 5]);

    await settle(first);
    await check.run();
    const second = (await queuedIds()).filter((id) => !ids(first).includes(id));
    expect(second).toHaveLength(2);
    expect(accepted).toHaveLength(4);
    await settle(later.filter(({ requestId }) => second.includes(requestId)));
    await check.run();
    expect(await queuedIds()).toEqual(ids([...first, ...later]));
    expect(accepted.sort()).toEqual(ids([...first, ...later]));
  });

  it('retried add never reuses a job id', async () => {
    const { check, publisher } = await open({ refuses: true });
    publisher.publish(event());
    await publisher.flush();
    const jobIds = new Set<string>();
    for (let times = 0; times < 4; times += 1) {
      const { rows } = await owner.query('SELECT id FROM bullmq.job');
      for (const { id } of rows) jobIds.add(id);
      await owner.query('DELETE FROM bullmq.job');
      nowMs += 60 * MINUTE_MS;
      await check.run();
    }
    expect(jobIds.size).toBe(4);
  });
});

describe('the lines of a dead process', () => {
  it('torn last line and a flipped byte lose only that line', async () => {
    const events = Array.from({ length: 6 }, () => event());
    const lines = events.map((one) => encodeLine({ kind: 'event', contract: 1, event: one }));
    const bytes = Buffer.from(lines.join(''));
    const third = Buffer.byteLength(lines.slice(0, 2).join('')) + 40;
    bytes.writeUInt8(bytes.readUInt8(third) ^ 0x04, third);
    leaveBehind('dead', bytes.subarray(0, bytes.length - 17));
    const { check } = await open();
    await check.run();
    expect(await queuedIds()).toEqual(ids(events.filter((_, n) => n !== 2 && n !== 5)));
    expect(check.damagedLines).toBe(2);
  });

  it('lines of a later version stay where they are', async () => {
    const line = '{"kind":"receipt"}';
    const summed = `${String(Buffer.byteLength(line))} 9 ${line}`;
    const known = event();
    leaveBehind(
      'dead',
      encodeLine({ kind: 'event', contract: 1, event: known }) +
        `\u001e${crc32(summed).toString(16).padStart(8, '0')} ${summed}\n`,
    );
    const { check, journal } = await open();
    await check.run();
    expect(await queuedIds()).toEqual([known.requestId]);
    await settle([known]);
    for (let hours = 0; hours < 3; hours += 1) {
      nowMs += 60 * MINUTE_MS;
      await check.run();
    }
    expect(readFileSync(join(journal.folder.path, 'adopted-dead/1.journal'), 'utf8')).toContain(line);
  });

  it('a request that begun and did not end is swept at its last checkpoint, or free', async () => {
    const [streamed, silent, done] = [event(), event(), event()];
    const early = { ...streamed, units: { input: 10, output: 1 }, costNano: '2100' };
    const begun = ({ requestId, accountId }: UsageEvent): string =>
      encodeLine({ kind: 'begun', requestId, accountId, at: new Date().toISOString() });
    const folder = leaveBehind('dead', [streamed, silent, done].map(begun).join(''));
    const checkpoint = (one: UsageEvent): string =>
      encodeLine({ kind: 'checkpoint', contract: 2, event: { ...one, swept: true } as UsageEvent });
    appendFileSync(join(folder, '1.journal'), checkpoint(early) + checkpoint(streamed) + checkpoint(done));
    writeFileSync(join(folder, '2.journal'), encodeLine({ kind: 'event', contract: 1, event: done }));
    const { check, journal } = await open();
    await check.run();
    const { rows } = await owner.query(
      'SELECT request_id, swept, cost::text FROM tollgate.usage_record WHERE request_id = ANY($1)',
      [[streamed.requestId, silent.requestId, done.requestId]],
    );
    expect(rows).toEqual([{ request_id: streamed.requestId, swept: true, cost: '7500' }]);
    expect(await queuedIds()).toEqual([done.requestId]);
    expect(journal.book.runningRequests).toBe(0);
  });

  it('the streams of a dead process are swept together', async () => {
    const streams = Array.from({ length: 450 }, () => event());
    const lines = streams.map((one) =>
      encodeLine({ kind: 'checkpoint', contract: 2, event: { ...one, swept: true } as UsageEvent }),
    );
    leaveBehind('dead', lines.join(''));
    const { check } = await open();
    const before = settlements;
    await check.run();
    expect(settlements - before).toBe(3);
    const { rows } = await owner.query(
      'SELECT count(*)::int AS n FROM tollgate.usage_record WHERE request_id = ANY ($1) AND swept',
      [ids(streams)],
    );
    expect(rows).toEqual([{ n: 450 }]);
  });

  it('a running request keeps the segment of its latest line', async () => {
    const { check, journal } = await open();
    const one = event();
    journal.begun(one);
    journal.checkpoint({ ...one, swept: true });
    expect(await journal.append([event()])).toBe(true);
    expect(journal.book.runningRequests).toBe(1);
    expect(foldersIn(root)).toHaveLength(1);
    expect(await journal.append([one])).toBe(true);
    expect([journal.book.runningRequests, journal.book.unknownEvents]).toEqual([0, 2]);
    await check.run();
  });
});
