import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { eventually, type FakeUpstream } from '@tollgate/testing';
import { type Pool } from 'pg';
import { loadConfig } from '@tollgate/runtime';
import { z } from 'zod';
import { ComposeInstallation } from '../installation/compose-installation.js';
import { containerOf, docker } from '../installation/containers.js';
import { violations } from '../installation/ledger-books.js';

const run = promisify(execFile);
const ROOT = join(__dirname, '../..');
const MODEL = 'backup-chat';
const REQUESTS = 8;

/** What a restored installation has to have to the byte: every row of every table that holds money or says who may spend it. */
const TABLES = [
  'account',
  'api_key',
  'audit_log',
  'deployment',
  'idempotency_record',
  'model',
  'price',
  'quarantine',
  'reservation',
  'transfer',
  'usage_record',
];

/** Escrows of idle accounts return to them at any time, which changes what is held and nothing else. */
const AS_PAID_IN: Readonly<Record<string, { row: string; where: string }>> = {
  account: { row: "to_jsonb(t) - 'held'", where: 'true' },
  reservation: { row: 't', where: "kind = 'request'" },
};

/** Lines of tables whose rows are added and never changed. */
const APPENDED = /^(audit_log|transfer|usage_record) /;

let installation: ComposeInstallation;
let upstream: FakeUpstream;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tollgate-backup-'));
  installation = await ComposeInstallation.join();
  upstream = await installation.startUpstream();
  await installation.admin().sellModel(MODEL, upstream);
});

afterAll(async () => {
  await upstream?.stop();
  await installation?.discard();
  rmSync(folder, { recursive: true, force: true });
});

async function rowsOf(database: Pool): Promise<Record<string, string[]>> {
  const all: Record<string, string[]> = {};
  for (const table of TABLES) {
    const { row, where } = AS_PAID_IN[table] ?? { row: 't', where: 'true' };
    const { rows } = await database.query<{ row: string }>(
      `SELECT (${row})::text AS row FROM tollgate.${table} AS t WHERE ${where} ORDER BY 1`,
    );
    all[table] = rows.map(({ row }) => row);
  }
  return all;
}

async function compose(...words: readonly string[]): Promise<void> {
  const { COMPOSE } = loadConfig(z.object({ COMPOSE: z.string() }));
  const [program = '', ...rest] = COMPOSE.split(' ');
  await run(program, [...rest, ...words], { cwd: ROOT, maxBuffer: 1e8 });
}

function script(name: string, file: string): Promise<{ stderr: string }> {
  return run(join(ROOT, 'ops/compose', name), [file], { maxBuffer: 1e8 });
}

async function ask(apiKey: string): Promise<number> {
  const response = await fetch(`${installation.gatewayUrl}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: MODEL, messages: [{ role: 'user', content: 'before the backup' }] }),
  });
  await response.arrayBuffer();
  return response.status;
}

/** Usage rows of an account. */
async function settled(database: Pool, accountId: string): Promise<number> {
  const { rows } = await database.query<{ n: number }>(
    'SELECT count(*)::int AS n FROM tollgate.usage_record WHERE account_id = $1',
    [accountId],
  );
  return rows[0]?.n ?? 0;
}

/** Jobs that wait in the queue. */
function waitingJobs(): number {
  return Number(docker('exec', containerOf('redis').Id, 'redis-cli', 'LLEN', 'bull:usage:wait'));
}

describe('a backup, the end of the installation, and its restoration', () => {
  it('brings back every row, the keys, and the usage that only waited in the queue', async () => {
    const { accountId, apiKey } = await installation.admin().openAccount('5');
    for (let n = 0; n < REQUESTS; n += 1) expect(await ask(apiKey)).toBe(200);
    let database = installation.database();
    await eventually(async () => expect(await settled(database, accountId)).toBe(REQUESTS), 30_000);

    // While billing is away, usage waits in Redis alone; the backup has to have it too.
    await compose('stop', 'billing');
    expect(await ask(apiKey)).toBe(200);
    await eventually(async () => expect(waitingJobs()).toBe(1));
    const before = await rowsOf(database);
    await database.end();
    const file = join(folder, 'backup.tar');
    await script('backup.sh', file);
    expect(statSync(file).mode & 0o077).toBe(0);
    await expect(script('restore.sh', file)).rejects.toThrow(/has containers\. Remove it first/);

    await compose('stop', 'fake-upstream');
    await compose('down', '-v');
    await compose('up', '-d', '--no-deps', 'postgres');
    await compose('down', '-v');
    await script('restore.sh', file);
    await compose('up', '-d', '--no-deps', 'fake-upstream');
    database = installation.database();

    const after = await rowsOf(database);
    const lines = (rows: Record<string, string[]>): string[] =>
      Object.entries(rows).flatMap(([table, texts]) => texts.map((text) => `${table} ${text}`));
    // Settled meanwhile from the restored queue: nothing else may differ.
    await eventually(async () => expect(await settled(database, accountId)).toBe(REQUESTS + 1), 60_000);
    // All suites before this one left their rows: a set, as comparing each with each takes minutes.
    const kept = new Set(lines(after));
    const lost = lines(before).filter((line) => !kept.has(line));
    expect(lost.filter((line) => !line.includes(accountId) || APPENDED.test(line))).toEqual([]);
    expect(after['api_key']).toEqual(before['api_key']);
    expect(await violations(database)).toEqual([]);
    await database.end();

    await eventually(async () => expect(await ask(apiKey)).toBe(200), 20_000);
  }, 600_000);
});
