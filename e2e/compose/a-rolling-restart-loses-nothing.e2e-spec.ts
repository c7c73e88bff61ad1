import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { eventually, type FakeUpstream } from '@tollgate/testing';
import type { Pool } from 'pg';
import { ComposeInstallation } from '../installation/compose-installation.js';
import { readBook, violations } from '../installation/ledger-books.js';
import { ChatLoad } from './chat-load.js';

const run = promisify(execFile);
const SCRIPT = join(__dirname, '../../ops/compose/rolling-restart.sh');
const MODEL = 'rolling-chat';
/** 5 input tokens at 1 and 30 output tokens at 2 credits per million, in nano-credits. */
const COST_NANO = 65_000n;
/** Each has an account of its own: this is about the restart, not about requests that wait for one account. */
const IN_FLIGHT = 8;
const DEPOSIT_NANO = 1_000_000_000_000n;

let installation: ComposeInstallation;
let upstream: FakeUpstream;
let database: Pool;

beforeAll(async () => {
  installation = await ComposeInstallation.join();
  upstream = await installation.startUpstream();
  database = installation.database();
  await installation.admin().sellModel(MODEL, upstream);
  // A stream takes 1.5 s, so that every gateway is stopped in the middle of some.
  await upstream.behave({ chunks: 30, chunkDelayMs: 50, promptTokens: 5 });
});

afterAll(async () => {
  await database?.end();
  await upstream?.stop();
  await installation?.discard();
});

describe('a rolling restart under load', () => {
  it.each([
    { how: 'of the containers as they are', words: [] },
    { how: 'by new containers in place of the old ones', words: ['--recreate'] },
  ])(
    'loses, refuses and charges twice nothing: $how',
    async ({ words }) => {
      const accounts = await Promise.all(
        Array.from({ length: IN_FLIGHT }, () => installation.admin().openAccount('1000')),
      );
      const accountIds = accounts.map(({ accountId }) => accountId);
      const before = installation.pidsOf('gateway');
      const load = new ChatLoad({
        gatewayUrl: installation.gatewayUrl,
        model: MODEL,
        apiKeys: accounts.map(({ apiKey }) => apiKey),
      });
      const restarted = run(SCRIPT, words, { maxBuffer: 1e7 });
      const ended = await restarted.then(
        () => load.stop(),
        async (error: unknown) => {
          await load.stop();
          throw error;
        },
      );

      const after = installation.pidsOf('gateway');
      expect(after).toHaveLength(before.length);
      expect(after.filter((pid) => before.includes(pid))).toEqual([]);
      expect(ended.filter(({ problem }) => problem !== null)).toEqual([]);
      expect(ended.length).toBeGreaterThan(100);

      await eventually(async () => {
        const books = await Promise.all(accountIds.map((id) => readBook(database, id)));
        for (const book of books) expect(book).toMatchObject({ held: 0n, absorbed: 0n });
        const posted = books.reduce((sum, book) => sum + book.posted, 0n);
        expect(posted).toBe(DEPOSIT_NANO * BigInt(IN_FLIGHT) - COST_NANO * BigInt(ended.length));
      }, 60_000);
      const { rows } = await database.query(
        "SELECT replace(request_id::text, '-', '') AS id FROM tollgate.usage_record WHERE account_id = ANY($1::uuid[])",
        [accountIds],
      );
      expect(rows.map(({ id }) => id).sort()).toEqual(ended.map(({ requestId }) => requestId).sort());
      expect(await violations(database)).toEqual([]);
    },
    400_000,
  );
});
