import { setTimeout as delay } from 'node:timers/promises';
import type { SeededChoice } from '../seeded-choice.js';
import type { AppProcess } from '../world/app-process.js';
import { copiedEvents, type EventCopy } from '../world/event-copies.js';
import { eventsOf, journalOf, loseJournal, type LostJournal } from '../world/journal-files.js';
import { proxyOf, type World } from '../world/world.js';

/** What a fault may use. */
export interface FaultSetting {
  readonly world: World;
  readonly choice: SeededChoice;
  readonly timeScale: number;
  readonly onJournalLost: (lost: LostJournal) => void;
}

export type FaultPart =
  'gateways' | 'workers' | 'admin' | 'redis' | 'postgres' | 'gateway network' | 'worker network';

/** One kind of fault. */
export interface FaultKind {
  /** What it happens to: faults that share a part never happen at the same time. */
  readonly parts: readonly FaultPart[];
  /** The copy of usage that it destroys. Of the two copies only one is lost at a time: no design outlives the loss of both. */
  readonly losesCopy?: EventCopy;
  /** Lets it happen, and ends it. False if there was nothing to happen to. */
  readonly strike: (setting: FaultSetting) => Promise<boolean>;
}

/** A hold lives for 90 s. */
const HOLD_LIFE_MS = 90_000;
/** A job is given to another worker 20 s after its own was last heard of. */
const JOB_LOCK_MS = 20_000;
/** How far Redis is rolled back at most, one of them each time. */
const ROLLBACKS_MS = [1_000, 1_000, 10_000, 60_000];

/** Questions to Postgres whose answers are cut off: each a transaction of its own, so that nobody learns whether it was committed. */
const COMMITS = ['settle_batch', 'grant_escrow', 'hold_batch', 'close_batch', 'touch_batch', 'shut_escrow'];

export const FAULT_KINDS: Readonly<Record<string, FaultKind>> = {
  'gateway killed': { parts: ['gateways'], strike: (setting) => kill(oneGateway(setting), 'SIGKILL') },
  'gateway killed, its disk lost': {
    parts: ['gateways', 'gateway network'],
    losesCopy: 'journal',
    strike: loseDisk,
  },
  'gateway restarted': { parts: ['gateways'], strike: (setting) => restart(setting, oneGateway(setting)) },
  'gateway frozen': {
    parts: ['gateways'],
    strike: (setting) => freeze(oneGateway(setting), between(setting, 200, 2_000)),
  },
  'gateway frozen past its holds': {
    parts: ['gateways'],
    strike: (setting) =>
      freeze(oneGateway(setting), HOLD_LIFE_MS * setting.timeScale + between(setting, 500, 3_000)),
  },
  'worker killed': { parts: ['workers'], strike: (setting) => kill(oneWorker(setting), 'SIGKILL') },
  'worker restarted': { parts: ['workers'], strike: (setting) => restart(setting, oneWorker(setting)) },
  'worker frozen past its jobs': {
    parts: ['workers'],
    strike: (setting) =>
      freeze(oneWorker(setting), JOB_LOCK_MS * setting.timeScale + between(setting, 500, 1_500)),
  },
  'jobs removed from the queue': { parts: ['workers'], losesCopy: 'queue', strike: removeJobs },
  'admin killed': { parts: ['admin'], strike: ({ world }) => kill(world.admin, 'SIGKILL') },
  'Redis killed': { parts: ['redis'], strike: killRedis },
  'Redis frozen': { parts: ['redis'], strike: freezeRedis },
  'Redis rolled back': { parts: ['redis'], losesCopy: 'queue', strike: rollRedisBack },
  'Redis flushed': { parts: ['redis'], losesCopy: 'queue', strike: flushRedis },
  'Postgres crashed': { parts: ['postgres'], strike: crashPostgres },
  'gateway cut off from Redis': {
    parts: ['gateway network'],
    strike: (setting) => partition(setting, 'gateway', 'redis'),
  },
  'gateway cut off from Postgres': {
    parts: ['gateway network'],
    strike: (setting) => partition(setting, 'gateway', 'postgres'),
  },
  'worker cut off from Redis': {
    parts: ['worker network'],
    strike: (setting) => partition(setting, 'worker', 'redis'),
  },
  'worker cut off from Postgres': {
    parts: ['worker network'],
    strike: (setting) => partition(setting, 'worker', 'postgres'),
  },
  'connection to Redis cut in an answer': { parts: ['gateway network'], strike: cutInAnswer },
  'connection cut at COMMIT, of a worker': {
    parts: ['worker network'],
    strike: (setting) => cutAtCommit(setting, 'worker'),
  },
  'connection cut at COMMIT, of a gateway': {
    parts: ['gateway network'],
    strike: (setting) => cutAtCommit(setting, 'gateway'),
  },
  'slow Redis': { parts: ['gateway network'], strike: slowRedis },
};

function between({ choice }: FaultSetting, fromMs: number, toMs: number): number {
  return choice.between(fromMs, toMs);
}

function oneGateway({ world, choice }: FaultSetting): AppProcess {
  return choice.pick(world.gateways);
}

function oneWorker({ world, choice }: FaultSetting): AppProcess {
  return choice.pick(world.workers);
}

async function kill(app: AppProcess, signal: 'SIGKILL'): Promise<boolean> {
  if (!app.isReady || !app.kill(signal)) return false;
  await app.untilReady().catch(() => undefined);
  return true;
}

/** It finishes what it has, and may take its time: the next fault does not wait for that. */
async function restart(setting: FaultSetting, app: AppProcess): Promise<boolean> {
  if (!app.isReady || !app.kill('SIGTERM')) return false;
  await delay(between(setting, 1_000, 3_000));
  return true;
}

async function freeze(app: AppProcess, forMs: number): Promise<boolean> {
  if (!app.isReady || !app.freeze()) return false;
  await delay(forMs);
  app.resume();
  await delay(500);
  return true;
}

async function loseDisk(setting: FaultSetting): Promise<boolean> {
  const { choice, world } = setting;
  const gateway = oneGateway(setting);
  const { pid } = gateway;
  const folder = pid === null || !gateway.isReady ? null : journalOf(pid, world.journals);
  if (folder === null) return false;
  const life = gateway.lives.at(-1);
  // Events are on their way to the queue for longer then.
  await world.proxies.set(proxyOf(gateway.name, 'redis'), { delayMs: choice.pick([0, 100, 180, 180]) });
  await delay(choice.between(100, 1_000));
  const isKilled = gateway.kill('SIGKILL');
  await world.proxies.set(proxyOf(gateway.name, 'redis'), {});
  if (!isKilled) return false;
  while (life?.endedAtMs === null) await delay(1);
  const lines = loseJournal(folder, world.journals);
  setting.onJournalLost({ lines, copied: await copiedEvents(world, eventsOf(lines)) });
  await gateway.untilReady().catch(() => undefined);
  return true;
}

/** Both workers stand still for a moment, so that there are jobs to remove. */
async function removeJobs(setting: FaultSetting): Promise<boolean> {
  const { world } = setting;
  const frozen = world.workers.filter((worker) => worker.isReady && worker.freeze());
  try {
    await delay(between(setting, 200, 600));
    let removed = 0;
    for (;;) {
      const job = await world.redis.ask('LPOP bull:usage:wait').catch(() => '');
      if (!job.startsWith('u-')) return removed > 0;
      await world.redis.ask(`DEL bull:usage:${job}`).catch(() => undefined);
      removed += 1;
    }
  } finally {
    for (const worker of frozen) worker.resume();
  }
}

async function killRedis(setting: FaultSetting): Promise<boolean> {
  const { redis } = setting.world;
  await redis.kill();
  await delay(between(setting, 0, 1_500));
  await redis.start();
  return true;
}

async function freezeRedis(setting: FaultSetting): Promise<boolean> {
  const { redis } = setting.world;
  redis.freeze();
  await delay(between(setting, 200, 3_000));
  redis.resume();
  return true;
}

async function rollRedisBack(setting: FaultSetting): Promise<boolean> {
  const { choice, world } = setting;
  // Shallow ones leave what is dangerous: sums that look alive, and lack what was spent since.
  const deepestMs = choice.pick(ROLLBACKS_MS);
  const ageMs = choice.between(1_000, deepestMs);
  return (await world.redis.rollBack(ageMs)) !== null;
}

async function flushRedis({ world }: FaultSetting): Promise<boolean> {
  return world.redis.flush().then(
    () => true,
    () => false,
  );
}

async function crashPostgres(setting: FaultSetting): Promise<boolean> {
  const { postgres } = setting.world;
  await postgres.crash();
  await delay(between(setting, 0, 2_000));
  await postgres.start();
  return true;
}

async function partition(
  setting: FaultSetting,
  who: 'gateway' | 'worker',
  server: 'redis' | 'postgres',
): Promise<boolean> {
  const { choice, world } = setting;
  const app = who === 'gateway' ? oneGateway(setting) : oneWorker(setting);
  const proxy = proxyOf(app.name, server);
  await world.proxies.set(proxy, { mode: choice.chance(0.5) ? 'refuse' : 'hold' });
  await delay(between(setting, 300, 5_000));
  await world.proxies.set(proxy, {});
  return true;
}

async function cutInAnswer(setting: FaultSetting): Promise<boolean> {
  const { choice, world } = setting;
  const proxy = proxyOf(oneGateway(setting).name, 'redis');
  await world.proxies.set(proxy, { cutAfterBytes: choice.between(1, 4_000) });
  await delay(between(setting, 300, 1_500));
  await world.proxies.set(proxy, {});
  return true;
}

async function cutAtCommit(setting: FaultSetting, who: 'gateway' | 'worker'): Promise<boolean> {
  const { choice, world } = setting;
  const app = who === 'gateway' ? oneGateway(setting) : oneWorker(setting);
  const proxy = proxyOf(app.name, 'postgres');
  const before = await world.proxies.set(proxy, {});
  const usual = who === 'worker' ? 'settle_batch' : 'grant_escrow';
  const text = choice.chance(0.6) ? usual : choice.pick(COMMITS);
  await world.proxies.set(proxy, { cutAnswerTo: text });
  await delay(between(setting, 1_500, 4_000));
  return (await world.proxies.set(proxy, {})) > before;
}

async function slowRedis(setting: FaultSetting): Promise<boolean> {
  const { world } = setting;
  const proxy = proxyOf(oneGateway(setting).name, 'redis');
  await world.proxies.set(proxy, { delayMs: between(setting, 20, 400) });
  await delay(between(setting, 500, 3_000));
  await world.proxies.set(proxy, {});
  return true;
}
