import { readFileSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { MasterKey } from '@tollgate/runtime';
import {
  createTestDatabase,
  eventually,
  seedInstallation,
  startFakeUpstream,
  type FakeUpstream,
  type SeededInstallation,
  type TestDatabase,
} from '@tollgate/testing';
import { Client } from 'pg';
import { SourceProcess, foldersIn, journalRoot } from './journal/journal.spec-kit.js';

// The gateway as a process of its own, with a journal, and no billing process: what it leaves is there to be seen.

let database: TestDatabase;
let upstream: FakeUpstream;
let seeded: SeededInstallation;
let owner: Client;
let root: string;
let gateway: SourceProcess;
let baseUrl: string;
const masterKey = MasterKey.generate();

beforeAll(async () => {
  [database, upstream] = await Promise.all([createTestDatabase(), startFakeUpstream()]);
  seeded = await seedInstallation({ ownerUrl: database.ownerUrl, masterKey, upstreams: [upstream.baseUrl] });
  owner = new Client({ connectionString: database.ownerUrl });
  await owner.connect();
});

afterAll(async () => {
  await Promise.all([upstream?.stop(), owner?.end()]);
  await database?.drop();
});

beforeEach(async () => {
  root = journalRoot();
  await owner.query('DELETE FROM bullmq.job');
  gateway = SourceProcess.start('apps/gateway/src/main.ts', {
    environment: {
      DATABASE_URL: database.appUrl,
      MASTER_KEY: masterKey,
      PORT: '0',
      JOURNAL_DIR: root,
      LOG_LEVEL: 'info',
    },
  });
  let output = '';
  gateway.child.stdout.on('data', (piece) => (output += String(piece)));
  baseUrl = await eventually(async () => {
    const url = /"url":"(http:[^"]+)"/.exec(output)?.[1];
    if (url === undefined) throw new Error(`the gateway does not listen:\n${output}${gateway.output}`);
    return url;
  }, 30_000);
});

afterEach(async () => {
  await gateway.kill();
  rmSync(root, { recursive: true, force: true });
});

function ask(stream = false): Promise<Response> {
  return fetch(`${baseUrl}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${seeded.apiKey}` },
    body: JSON.stringify({ model: seeded.model, stream, messages: [{ role: 'user', content: 'hello' }] }),
  });
}

function requestIdOf(response: Response): string {
  const id = response.headers.get('x-request-id') ?? '';
  return id.replace(/^req_(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

async function bookedIds(): Promise<string[]> {
  const { rows } = await owner.query('SELECT request_id FROM tollgate.usage_record');
  return rows.map(({ request_id: id }: { request_id: string }) => id);
}

function journalText(): string {
  return foldersIn(root)
    .flatMap((folder) => readdirSync(join(root, folder)).map((name) => join(root, folder, name)))
    .filter((path) => path.endsWith('.journal'))
    .map((path) => readFileSync(path, 'utf8'))
    .join('');
}

async function readiness(): Promise<{ status: number; missing: unknown }> {
  const response = await fetch(`${baseUrl}/health/ready`);
  const body: any = await response.json();
  return { status: response.status, missing: body.missing };
}

describe('a gateway with a journal', () => {
  it('writes down that a request began and what it used before the queue has it', async () => {
    const response = await ask();
    expect(response.status).toBe(200);
    await response.text();
    const id = requestIdOf(response);
    await eventually(async () =>
      expect(journalText()).toContain(`{"kind":"event","contract":1,"event":{"requestId":"${id}"`),
    );
    expect(journalText()).toContain(`{"kind":"begun","requestId":"${id}"`);
  });

  it('shows in its metrics what Postgres lacks', async () => {
    const figures = async (): Promise<Record<string, number>> => {
      const text = await (await fetch(`${baseUrl}/metrics`)).text();
      const lines = text.matchAll(/^tollgate_gateway_journal_(\w+) (\S+)$/gm);
      return Object.fromEntries([...lines].map(([, name = '', value]) => [name, Number(value)]));
    };
    await (await ask()).text();
    // There is no billing process.
    await eventually(async () =>
      expect(await figures()).toMatchObject({
        writable: 1,
        segments: 1,
        unknown_events: 1,
        adopted_folders: 0,
        damaged_lines: 0,
      }),
    );
    const { bytes = 0, oldest_unknown_event_age_seconds: age = 0 } = await figures();
    expect(bytes).toBeGreaterThan(100);
    await delay(100);
    expect((await figures())['oldest_unknown_event_age_seconds']).toBeGreaterThan(age);
  });

  it('SIGTERM exits only when Postgres knows every event', async () => {
    const response = await ask();
    await response.text();
    const id = requestIdOf(response);
    // There is no billing process, and the gateway cannot settle either while somebody has the account.
    await owner.query('BEGIN');
    try {
      await owner.query('SELECT FROM tollgate.account WHERE id = $1 FOR UPDATE', [seeded.accountId]);
      gateway.signal('SIGTERM');
      const early = await Promise.race([gateway.exited, delay(9_000, 'running')]);
      expect(early).toBe('running');
      expect(await bookedIds()).not.toContain(id);
    } finally {
      await owner.query('ROLLBACK');
    }
    expect(await gateway.exited).toBe(0);
    expect(await bookedIds()).toContain(id);
    // What it leaves is adopted by the next one, and deleted a quarter of an hour later.
    expect(foldersIn(root)).toHaveLength(1);
  }, 60_000);

  it('disk full: not ready, running requests settle, nothing lost', async () => {
    await upstream.behave({ chunks: 40, chunkDelayMs: 100 });
    const running = await Promise.all([ask(true), ask(true)]);
    gateway.limitFiles('0:unlimited');
    await Promise.all(running.map((response) => response.text()));
    // The queue in Postgres would take them too, but without the copy on the disk only the ledger is safe.
    await eventually(async () =>
      expect(await bookedIds()).toEqual(expect.arrayContaining(running.map(requestIdOf))),
    );
    await eventually(async () =>
      expect(await readiness()).toEqual({
        status: 503,
        missing: { journal: expect.any(String), billing: expect.any(String) },
      }),
    );
    const refused = await ask();
    expect(refused.status).toBe(503);
    expect(await refused.json()).toMatchObject({ error: { code: 'billing_unavailable' } });

    gateway.limitFiles('unlimited');
    await upstream.behave({});
    await eventually(async () => expect((await readiness()).status).toBe(200));
    const response = await ask();
    expect(response.status).toBe(200);
    await response.text();
    await eventually(async () =>
      expect(journalText()).toContain(`"event":{"requestId":"${requestIdOf(response)}"`),
    );
  }, 60_000);
});
