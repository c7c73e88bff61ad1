import { once } from 'node:events';
import { get, request, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { eventually } from '@tollgate/testing';
import { v7 as uuidv7 } from 'uuid';
import { freshKey, openAccount, startAdmin, type AdminUnderTest } from '../admin.spec-kit.js';

// Real: Postgres, the HTTP server on a socket, clients that read slowly, leave, or come in a crowd.

const ROWS = 200_000;
const MIB = 1024 * 1024;
/** When the first of them came in. */
const FIRST_MS = 1_790_000_000_000;

let admin: AdminUnderTest;
let port: number;
const serverSockets = new Set<Socket>();

beforeAll(async () => {
  admin = await startAdmin();
  await admin.app.listen(0, '127.0.0.1');
  port = Number(new URL(await admin.app.getUrl()).port);
  admin.app.getHttpServer().on('connection', (socket: Socket) => serverSockets.add(socket));
  await insertUsage(ROWS);
}, 120_000);
afterAll(() => admin.stop());

/** So many requests of one account, one a millisecond. */
async function insertUsage(count: number): Promise<void> {
  await admin.owner.query(
    `INSERT INTO tollgate.usage_record (request_id, account_id, api_key_id, model, upstream_model, price_id, multiplier_ppm,
       units, billable, usage_source, outcome, cost, attempts, total_ms, finished_at, body_hash)
     SELECT (lpad(to_hex(${FIRST_MS} + n), 12, '0') || '7000' || '8000' || lpad(to_hex(n), 12, '0'))::uuid,
       $1, $1, 'm', 'up', $1, 1000000, '{"input": 7, "output": 3}', true, 'provider', 'completed', n, 1, 34, now(), ''
       FROM generate_series(1, $2::bigint) AS n`,
    [uuidv7(), count],
  );
}

function ask(path: string, headers: Record<string, string> = {}) {
  const authorization = `Bearer ${admin.token}`;
  return { port, path: `/admin/v1${path}`, agent: false, headers: { authorization, ...headers } };
}

async function open(path: string, headers?: Record<string, string>): Promise<IncomingMessage> {
  const call = get(ask(path, headers));
  const [answer] = await once(call, 'response');
  return answer;
}

async function read(path: string, headers?: Record<string, string>) {
  const answer = await open(path, headers);
  const chunks: Buffer[] = [];
  for await (const chunk of answer) chunks.push(chunk);
  return { status: answer.statusCode, headers: answer.headers, text: Buffer.concat(chunks).toString() };
}

setFlagsFromString('--expose-gc');
const collectGarbage: () => void = runInNewContext('gc');

/** Bytes that this process, server and client in one, cannot do without. */
function retained(): number {
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** What the export connections are doing. */
async function backends(): Promise<{ pid: number; state: string }[]> {
  const { rows } = await admin.owner.query(
    `SELECT pid, state FROM pg_stat_activity WHERE application_name = 'admin-export' AND datname = current_database()`,
  );
  return rows;
}

async function noneIsLeft(): Promise<void> {
  await eventually(async () => expect(await backends()).toEqual([]));
}

describe('an export', () => {
  it('waits for a slow reader with bounded memory, and then is whole', async () => {
    serverSockets.clear();
    const before = retained();
    const answer = await open('/usage/export?format=csv');
    answer.pause();
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    const sent = [...serverSockets].reduce((sum, { bytesWritten }) => sum + bytesWritten, 0);
    expect(sent).toBeLessThan(16 * MIB);
    expect(retained() - before).toBeLessThan(16 * MIB);
    let lines = 0;
    let bytes = 0;
    let most = 0;
    for await (const chunk of answer) {
      if (Math.floor(bytes / (8 * MIB)) < Math.floor((bytes + chunk.length) / (8 * MIB))) {
        most = Math.max(most, retained() - before);
      }
      bytes += chunk.length;
      for (const byte of chunk) if (byte === 10) lines += 1;
    }
    expect(lines).toBe(ROWS + 1);
    expect(bytes).toBeGreaterThan(32 * MIB);
    expect(most).toBeLessThan(16 * MIB);
    await noneIsLeft();
  }, 120_000);

  it('is of one moment', async () => {
    const to = new Date(FIRST_MS + 60_000).toISOString();
    const answer = await open(`/usage/export?format=jsonl&model=m&to=${to}`);
    answer.pause();
    const { rows } = await admin.owner.query(
      `UPDATE tollgate.usage_record SET cost = cost + 1 WHERE cost < 10 RETURNING cost`,
    );
    let text = '';
    for await (const chunk of answer) text = (text + chunk.toString()).slice(-10_000);
    const costs = text.trim().split('\n').slice(-9);
    await admin.owner.query('UPDATE tollgate.usage_record SET cost = cost - 1 WHERE cost <= 10 AND cost > 1');
    expect(rows).toHaveLength(9);
    expect(costs.map((line) => JSON.parse(line).cost)).toEqual(
      [9, 8, 7, 6, 5, 4, 3, 2, 1].map((nano) => `0.00000000${nano}`),
    );
  }, 120_000);

  it('ends its query at once when the client leaves, also before the first row', async () => {
    const answer = await open('/usage/export');
    expect(await backends()).toHaveLength(1);
    answer.destroy();
    await noneIsLeft();
    const lock = await admin.owner.connect();
    await lock.query('BEGIN; LOCK TABLE tollgate.usage_record IN ACCESS EXCLUSIVE MODE');
    const waiting = get(ask('/usage/export'));
    waiting.on('error', () => undefined);
    await eventually(async () => expect(await backends()).toMatchObject([{ state: 'active' }]));
    waiting.destroy();
    await noneIsLeft();
    await lock.query('ROLLBACK');
    lock.release();
  });

  it('that fails on the way cuts the connection, so that nobody takes it for whole', async () => {
    const answer = await open('/usage/export');
    answer.pause();
    const [backend] = await backends();
    await admin.owner.query('SELECT pg_terminate_backend($1)', [backend?.pid]);
    await expect(
      (async () => {
        for await (const chunk of answer) expect(chunk.length).toBeGreaterThan(0);
      })(),
    ).rejects.toThrow('aborted');
    expect(answer.complete).toBe(false);
    await noneIsLeft();
  });

  it('that fails before its first row is a problem', async () => {
    const lock = await admin.owner.connect();
    await lock.query('BEGIN; LOCK TABLE tollgate.usage_record IN ACCESS EXCLUSIVE MODE');
    const answer = read('/usage/export');
    await eventually(async () => expect(await backends()).toMatchObject([{ state: 'active' }]));
    const [backend] = await backends();
    await admin.owner.query('SELECT pg_cancel_backend($1)', [backend?.pid]);
    const { status, headers, text } = await answer;
    await lock.query('ROLLBACK');
    lock.release();
    expect([status, headers['content-type']]).toEqual([503, 'application/problem+json; charset=utf-8']);
    expect(JSON.parse(text)).toMatchObject({
      code: 'query_timeout',
      detail: expect.stringContaining('from and to'),
    });
    await noneIsLeft();
  });

  it('is refused while two others run', async () => {
    const running = await Promise.all([open('/usage/export'), open('/usage/export?format=jsonl')]);
    const { status, headers, text } = await read('/audit/export');
    expect([status, headers['retry-after'], JSON.parse(text).code]).toEqual([429, '10', 'too_many_exports']);
    for (const answer of running) answer.destroy();
    await eventually(async () => expect((await read('/audit/export')).status).toBe(200));
  });

  it('answers HEAD with its headers and runs no query', async () => {
    const call = request({ ...ask('/usage/export?format=jsonl'), method: 'HEAD' }).end();
    const [answer] = await once(call, 'response');
    expect([
      answer.statusCode,
      answer.headers['content-type'],
      answer.headers['content-disposition'],
    ]).toEqual([200, 'application/x-ndjson; charset=utf-8', 'attachment; filename="usage.jsonl"']);
    expect(await backends()).toEqual([]);
    answer.resume();
  });

  it('is for operators alone and refuses what lists refuse', async () => {
    expect((await read('/usage/export', { authorization: 'Bearer x' })).status).toBe(401);
    for (const query of ['format=xml', 'limit=1', 'from=yesterday', 'minCost=1e3', 'cursor=x']) {
      expect((await read(`/usage/export?${query}`)).status).toBe(422);
    }
    expect((await read(`/accounts/${uuidv7()}/transfers/export`)).status).toBe(404);
  });
});

describe('GET /transfers/export', () => {
  it('has what the list has, as CSV and as JSON Lines', async () => {
    const accountId = await openAccount(admin, '5');
    const moved = { kind: 'adjustment', amount: '-1.5', reference: '-1+1', note: '=HYPERLINK("x"),\n"b"' };
    await admin.call('POST', `/accounts/${accountId}/adjustments`, { body: moved, headers: freshKey() });
    const { body } = await admin.call('GET', `/accounts/${accountId}/transfers`);
    const jsonl = await read(`/accounts/${accountId}/transfers/export`, { accept: 'application/x-ndjson' });
    expect(
      jsonl.text
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ).toEqual(body.data);
    const csv = await read(`/transfers/export?accountId=${accountId}&kind=adjustment`, {
      accept: 'text/csv',
    });
    const [row] = body.data;
    expect(csv.text).toBe(
      'id,createdAt,accountId,seq,kind,amount,balanceAfter,requestId,reference,note\r\n' +
        `${row.id},${row.createdAt},${accountId},2,adjustment,-1.5,3.5,,'-1+1,"'=HYPERLINK(""x""),\n""b"""\r\n`,
    );
    expect(csv.headers['content-type']).toBe('text/csv; charset=utf-8');
  });
});

describe('GET /audit/export', () => {
  it('has what the list has', async () => {
    const accountId = await openAccount(admin, '1');
    const { body } = await admin.call('GET', `/audit?target=account/${accountId}`);
    const jsonl = await read(`/audit/export?format=jsonl&target=account/${accountId}`);
    expect(
      jsonl.text
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ).toEqual(body.data);
    const csv = await read(`/audit/export?target=account/${accountId}&action=credits.top_up`);
    expect(csv.text).toMatch(
      /^id,createdAt,actor,action,target,requestId,before,after\r\n\d+,.*""amount"":""1""/,
    );
  });
});

describe('a query that takes too long', () => {
  it('is given up with 503 and what to do', async () => {
    const impatient = await startAdmin({ STATEMENT_TIMEOUT_MS: '300' });
    const lock = await impatient.owner.connect();
    await lock.query('BEGIN; LOCK TABLE tollgate.audit_log, tollgate.usage_record IN ACCESS EXCLUSIVE MODE');
    for (const path of ['/audit', '/usage', '/reports/usage']) {
      const { status, body, headers } = await impatient.call('GET', path);
      expect([path, status, body.code, headers['retry-after']]).toEqual([path, 503, 'query_timeout', '5']);
    }
    await lock.query('ROLLBACK');
    lock.release();
    expect((await impatient.call('GET', '/audit')).status).toBe(200);
    await impatient.stop();
  });
});
