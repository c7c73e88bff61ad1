import { setTimeout as delay } from 'node:timers/promises';
import { type FakeUpstream } from '@tollgate/testing';
import type { Pool } from 'pg';
import type { AdminApi } from './installation/admin-api.js';
import { eventually } from '@tollgate/testing';
import { readBook, violations, watchFloor } from './installation/ledger-books.js';
import { RunningInstallation } from './installation/running-installation.js';

const MODEL = 'gated-chat';
const OUTPUT_CAP = 1_000;
/** What a request did not use is there for others so long after its end. */
const COMES_BACK_MS = 500;

let installation: RunningInstallation;
let upstream: FakeUpstream;
let admin: AdminApi;
let database: Pool;

beforeAll(async () => {
  installation = await RunningInstallation.start();
  upstream = await installation.startUpstream();
  admin = installation.admin();
  database = installation.database();
  await admin.sellModel(MODEL, upstream, { input: '3', output: '15' });
});

afterAll(async () => {
  await database?.end();
  await installation?.discard();
  await upstream?.stop();
});

function ask(apiKey: string, stream = false): Promise<Response> {
  return fetch(`${installation.gatewayUrl}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      model: MODEL,
      stream,
      max_tokens: OUTPUT_CAP,
      messages: [{ role: 'user', content: 'hi' }],
    }),
  });
}

/** Nano-credits that running requests hold in Redis: whoever asks for all credits back is told. */
async function heldByRunning(accountId: string, credits: string): Promise<bigint> {
  const refusal = await admin
    .post(`/accounts/${accountId}/adjustments`, {
      kind: 'adjustment',
      amount: `-${credits}`,
      note: 'all of it',
    })
    .then(
      () => '',
      (error: unknown) => String(error),
    );
  const found = /running requests hold (\d+)(?:\.(\d+))?/.exec(refusal);
  if (found === null) throw new Error(`it is not told what running requests hold: ${refusal}`);
  const [, whole = '0', fraction = ''] = found;
  return BigInt(whole + fraction.padEnd(9, '0'));
}

/** Credits that one such request holds, measured on a rich account. */
async function measureHold(): Promise<bigint> {
  const rich = await admin.openAccount('10');
  await upstream.behave({ held: true });
  const pending = ask(rich.apiKey);
  await upstream.waitForArrivals(1);
  const book = await readBook(database, rich.accountId);
  const held = book.held > 0n ? book.held : await heldByRunning(rich.accountId, '10');
  await upstream.release();
  await (await pending).text();
  await upstream.reset();
  return held;
}

function toCredits(nano: bigint): string {
  return `${nano / 1_000_000_000n}.${(nano % 1_000_000_000n).toString().padStart(9, '0')}`;
}

describe('two hundred requests at once on a balance of twenty holds', () => {
  it('lets exactly twenty through, and the floor is never crossed', async () => {
    const hold = await measureHold();
    expect(hold).toBeGreaterThan(0n);
    const { accountId, apiKey } = await admin.openAccount(toCredits(hold * 20n));
    await upstream.behave({ held: true, chunks: OUTPUT_CAP, promptTokens: 2 });
    const floor = watchFloor(database, accountId);
    const answers = Array.from({ length: 200 }, () => ask(apiKey));
    const refused = await refusedOf(answers, 180);
    await upstream.waitForArrivals(20);
    expect(await upstream.arrivals()).toBe(20);
    expect(refused.every(({ status, code }) => status === 429 && code === 'insufficient_quota')).toBe(true);
    const { posted, held, setAside } = await readBook(database, accountId);
    expect([posted, held + setAside]).toEqual([hold * 20n, hold * 20n]);

    await upstream.release();
    const served = (await Promise.all(answers)).filter(({ status }) => status === 200);
    expect(served).toHaveLength(20);
    expect(await upstream.arrivals()).toBe(20);
    await settled(accountId, 20);
    expect(await floor.stop()).toBe(0);
  });

  it('spends a balance down by fifty clients to less than one hold, and absorbs nothing', async () => {
    await upstream.reset();
    await upstream.behave({ chunks: OUTPUT_CAP, promptTokens: 2 });
    const { accountId, apiKey } = await admin.openAccount('1');
    const floor = watchFloor(database, accountId);
    let served = 0;
    const cutOff = new Set<string | null>();
    await Promise.all(
      Array.from({ length: 50 }, async (_, client) => {
        let wasRefused = false;
        for (;;) {
          const response = await ask(apiKey, client % 2 === 0);
          const text = await response.text();
          if (response.status === 429) {
            // Money that others hold comes back: the balance is spent when nobody holds any.
            if (wasRefused && (await readBook(database, accountId)).held === 0n) return;
            wasRefused = true;
            await delay(COMES_BACK_MS);
            continue;
          }
          expect(response.status).toBe(200);
          wasRefused = false;
          served += 1;
          // The last stream may begin with what is left, and ends where that ends.
          if (text.includes('"code":"insufficient_quota"')) cutOff.add(response.headers.get('x-request-id'));
        }
      }),
    );
    await settled(accountId, served);
    expect(await floor.stop()).toBe(0);
    const { posted } = await readBook(database, accountId);
    expect(posted).toBeGreaterThanOrEqual(0n);
    // Less than the least hold that is worth beginning: 256 output tokens at 15 credits per million, and the input.
    expect(posted).toBeLessThan(256n * 15_000n + 3_000n * 200n);
    const deliveries = await upstream.deliveries();
    expect(deliveries).toHaveLength(served);
    // The upstream may have handed over all of an answer that is cut off, or not.
    const unfinished = deliveries.filter(({ ended }) => !ended).map(({ requestId }) => requestId);
    expect(unfinished.filter((requestId) => !cutOff.has(requestId))).toEqual([]);
  });
});

/** Waits until so many answers are refusals. The others are held back by the upstream. */
async function refusedOf(
  answers: readonly Promise<Response>[],
  count: number,
): Promise<{ status: number; code: string }[]> {
  const refused: { status: number; code: string }[] = [];
  return new Promise((resolve, reject) => {
    for (const answer of answers) {
      answer
        .then(async (response) => {
          if (response.status === 200) return;
          const body: any = await response.json();
          refused.push({ status: response.status, code: body.error.code });
          if (refused.length === count) resolve(refused);
        })
        .catch(reject);
    }
  });
}

async function settled(accountId: string, requests: number): Promise<void> {
  await eventually(async () => {
    const book = await readBook(database, accountId);
    expect(book.held).toBe(0n);
    expect(book.posted).toBe(book.transfers);
    expect(book.absorbed).toBe(0n);
    const { rows } = await database.query(
      "SELECT (SELECT count(*) FROM tollgate.usage_record WHERE account_id = $1)::int AS records, (SELECT count(*) FROM tollgate.transfer WHERE account_id = $1 AND kind = 'usage')::int AS debits",
      [accountId],
    );
    expect(rows[0]).toEqual({ records: requests, debits: requests });
  }, 20_000);
  expect(await violations(database)).toEqual([]);
}
