import { setTimeout as delay } from 'node:timers/promises';
import { marker, type FakeUpstream } from '@tollgate/testing';
import type { Pool } from 'pg';
import type { AdminApi } from './installation/admin-api.js';
import { eventually } from '@tollgate/testing';
import { readBook } from './installation/ledger-books.js';
import { RunningInstallation } from './installation/running-installation.js';

const MODEL = 'killed-chat';

let installation: RunningInstallation;
let upstream: FakeUpstream;
let admin: AdminApi;
let database: Pool;

beforeAll(async () => {
  installation = await RunningInstallation.start();
  upstream = await installation.startUpstream();
  admin = installation.admin();
  database = installation.database();
  await admin.sellModel(MODEL, upstream);
});

afterAll(async () => {
  await database?.end();
  await installation?.discard();
  await upstream?.stop();
});

beforeEach(() => upstream.reset());

function ask(apiKey: string, text: string, stream = false): Promise<Response> {
  return fetch(`${installation.gatewayUrl}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: MODEL, stream, messages: [{ role: 'user', content: text }] }),
  });
}

describe('billing killed under load', () => {
  it('is started again, and bills each delivered request exactly once', async () => {
    const { accountId, apiKey } = await admin.openAccount('1000');
    await upstream.behave({ chunks: 9, promptTokens: 11 });
    let asked = 0;
    let running = true;
    const clients = Array.from({ length: 20 }, async () => {
      while (running) {
        const response = await ask(apiKey, marker(`load-${(asked += 1)}`), asked % 3 === 0);
        expect(response.status).toBe(200);
        await response.text();
      }
    });
    for (let round = 0; round < 3; round += 1) {
      await delay(1_500);
      const killed = installation.kill('billing');
      await eventually(async () => {
        const pids = installation.pidsOf('billing');
        expect(pids).toHaveLength(killed.length);
        expect(pids).not.toEqual(killed);
      }, 35_000);
    }
    running = false;
    await Promise.all(clients);

    const delivered = (await upstream.deliveries()).filter(({ ended }) => ended).length;
    expect(delivered).toBe(asked);
    await eventually(async () => {
      const { rows } = await database.query(
        `SELECT count(*)::int AS records, count(DISTINCT u.request_id)::int AS requests,
                count(t.id)::int AS debits, COALESCE(sum(t.amount), 0)::text AS debited
           FROM tollgate.usage_record u LEFT JOIN tollgate.transfer t ON t.ref_id = u.request_id AND t.kind = 'usage'
          WHERE u.account_id = $1`,
        [accountId],
      );
      // 11 × 1 + 9 × 2 credits per million tokens are 29,000 nano-credits a request.
      const debited = (BigInt(delivered) * 29_000n).toString();
      expect(rows[0]).toEqual({ records: delivered, requests: delivered, debits: delivered, debited });
    }, 60_000);
    expect((await readBook(database, accountId)).held).toBe(0n);
    expect(await installation.audit()).toContain('The books are right.');
  });
});

describe('a gateway killed with fifty open streams', () => {
  it('leaves no credits held after two minutes, and what was delivered paid', async () => {
    const { accountId, apiKey } = await admin.openAccount('1000');
    await upstream.behave({ fault: 'endless', chunkDelayMs: 50 });
    const streams = await Promise.all(Array.from({ length: 50 }, () => ask(apiKey, 'endless', true)));
    for (const stream of streams) stream.body?.pipeTo(new WritableStream()).catch(() => undefined);
    await eventually(async () => {
      const { held, setAside } = await readBook(database, accountId);
      expect(held + setAside).toBeGreaterThan(0n);
    }, 30_000);
    // Each has delivered something by now, and said so.
    await eventually(async () => {
      const deliveries = await upstream.deliveries();
      expect(deliveries.filter(({ chunks }) => chunks >= 40)).toHaveLength(50);
    }, 30_000);
    installation.kill('gateway');
    await eventually(
      async () => {
        expect((await readBook(database, accountId)).held).toBe(0n);
        const { rows } = await database.query(
          `SELECT count(*)::int AS records, count(*) FILTER (WHERE swept AND cost > 0)::int AS swept
             FROM tollgate.usage_record WHERE account_id = $1`,
          [accountId],
        );
        expect(rows).toEqual([{ records: 50, swept: 50 }]);
      },
      120_000,
      1_000,
    );

    const answer = await eventually(() => ask(apiKey, 'again'), 30_000);
    await answer.body?.cancel();
    expect(await installation.audit()).toContain('The books are right.');
  });
});
