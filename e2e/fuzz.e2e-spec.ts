import { loadConfig } from '@tollgate/runtime';
import { eventually, type FakeUpstream } from '@tollgate/testing';
import * as fc from 'fast-check';
import type { Pool } from 'pg';
import { z } from 'zod';
import { isProxysOwn } from './conformance/raw-http.js';
import { behaviourOfBatch, CANARY } from './fuzz/batch-behaviours.js';
import { FuzzConnection } from './fuzz/fuzz-connection.js';
import { requests, type FuzzRequest, type Keys } from './fuzz/fuzz-requests.js';
import { problemOf, type Told } from './fuzz/fuzz-verdict.js';
import type { AdminApi } from './installation/admin-api.js';
import { ACCOUNTS_WITH_HOLDS, violations } from './installation/ledger-books.js';
import { RunningInstallation } from './installation/running-installation.js';

const config = loadConfig(
  z.object({
    /** The seed to repeat a run with; a new one otherwise. */
    FUZZ_SEED: z.coerce
      .number()
      .int()
      .default(() => Math.floor(Math.random() * 0x7fff_ffff)),
    FUZZ_REQUESTS: z.coerce.number().int().min(1).default(20_000),
  }),
);

const MODELS = ['fuzz-chat', 'openrouter/fuzz:free', 'o3-fuzz'];
const BATCH = 500;
const CONNECTIONS = 24;
const RUN_TIMEOUT_MS = 600_000;

let installation: RunningInstallation;
let upstream: FakeUpstream;
let admin: AdminApi;
let database: Pool;

beforeAll(async () => {
  installation = await RunningInstallation.start();
  upstream = await installation.startUpstream();
  admin = installation.admin();
  database = installation.database();
  for (const model of MODELS) await admin.sellModel(model, upstream);
});

afterAll(async () => {
  await database?.end();
  await installation?.discard();
  await upstream?.stop();
});

describe(`${config.FUZZ_REQUESTS} random and mutated requests`, () => {
  it(
    'get an answer each, none a fault of ours, and leave nothing held and nobody dead',
    async () => {
      console.log(`FUZZ_SEED=${config.FUZZ_SEED} FUZZ_REQUESTS=${config.FUZZ_REQUESTS}`);
      const keys = await openKeys();
      const pidsBefore = installation.pidsOf('gateway');
      const told = await run(requests(keys, MODELS));
      console.log(`answers: ${JSON.stringify(countsOf(told))}`);

      expect(installation.pidsOf('gateway')).toEqual(pidsBefore);
      await upstream.reset();
      await eventually(async () => {
        const { rows } = await database.query(
          `${ACCOUNTS_WITH_HOLDS} UNION ALL SELECT id FROM tollgate.reservation WHERE state <> 'closed' AND kind = 'request'`,
        );
        expect(rows).toEqual([]);
      }, 30_000);
      expect(await violations(database)).toEqual([]);
      await expectRefusedUncharged(told);
      // Most of the grammar is about what goes wrong: enough must still be right, or this tests the front door only.
      expect(told.filter(({ status }) => status === 200).length).toBeGreaterThan(told.length / 10);
    },
    RUN_TIMEOUT_MS,
  );
});

async function openKeys(): Promise<Keys> {
  const [rich, poor, tiny] = [
    await admin.openAccount('100000'),
    await admin.openAccount('0'),
    await admin.openAccount('0.002'),
  ];
  const limited = await admin.post(`/accounts/${rich.accountId}/api-keys`, {
    name: 'limited',
    allowedModels: [],
  });
  return { rich: rich.apiKey, others: [poor.apiKey, tiny.apiKey, limited.key] };
}

/** Sends everything, a batch at a time; each batch has its own seed and meets the upstream in another mood. */
async function run(grammar: fc.Arbitrary<FuzzRequest>): Promise<Told[]> {
  const told: Told[] = [];
  const connections = Array.from({ length: CONNECTIONS }, () => new FuzzConnection(installation.gatewayUrl));
  for (let sent = 0; sent < config.FUZZ_REQUESTS; sent += BATCH) {
    const batch = sent / BATCH;
    const behaviour = behaviourOfBatch(batch);
    await upstream.behave(behaviour);
    const numRuns = Math.min(BATCH, config.FUZZ_REQUESTS - sent);
    const queue = fc.sample(grammar, { seed: config.FUZZ_SEED + batch, numRuns });
    const serve = async (connection: FuzzConnection): Promise<void> => {
      for (let request = queue.shift(); request !== undefined; request = queue.shift()) {
        const answer = await connection.send(request);
        const problem = problemOf(request, answer, {
          upstreamIsWell: batch % 4 !== 3,
          canary: CANARY,
          isProxied: installation.isProxied,
        });
        if (problem !== null) {
          const shown = request.bytes.toString('latin1').slice(0, 2_000);
          throw new Error(
            `${problem}\nin batch ${batch} of FUZZ_SEED=${config.FUZZ_SEED}, the upstream doing ` +
              `${JSON.stringify(behaviour)}\n${JSON.stringify(shown)}\n${answer?.bytes.toString('latin1') ?? ''}`,
          );
        }
        if (answer !== null && !isProxysOwn(answer)) {
          told.push({ status: answer.status, requestId: answer.headers['x-request-id'] ?? '' });
        }
      }
    };
    await Promise.all(connections.map(serve));
  }
  for (const connection of connections) connection.close();
  return told;
}

function countsOf(told: readonly Told[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { status } of told) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
}

async function expectRefusedUncharged(told: readonly Told[]): Promise<void> {
  const refused = told
    .filter(({ status }) => status >= 400)
    .map(({ requestId }) => requestId.slice('req_'.length));
  const { rows } = await database.query(
    "SELECT ref_id FROM tollgate.transfer WHERE kind IN ('usage', 'absorbed') AND ref_id = ANY($1::uuid[])",
    [refused],
  );
  expect(rows).toEqual([]);
}
