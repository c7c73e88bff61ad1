import { computeCost } from '@tollgate/pricing';
import { createTestDatabase, type TestDatabase } from '@tollgate/testing';
import fc from 'fast-check';
import { LedgerBench, usageEvent } from './ledger.spec-kit.js';
import { settleBatch } from './settle-batch.js';

// Real: Postgres, as the application role. A point is a whole number of nano-credits, and nothing is ever booked in points.

let database: TestDatabase;
let bench: LedgerBench;

beforeAll(async () => {
  database = await createTestDatabase();
  bench = new LedgerBench(database);
});

afterAll(async () => {
  await bench.close();
  await database.drop();
});

it('n points bought pay n points', async () => {
  const nanoPerPoint = fc.bigInt({ min: 1n, max: 1_000_000_007n });
  await fc.assert(
    fc.asyncProperty(
      nanoPerPoint,
      fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 5 }),
      async (nano, bought) => {
        const accountId = await bench.newAccount(0n);
        for (const points of bought) await bench.topUp(accountId, nano * BigInt(points));
        // A request that costs as many points as there are in all, as a minimum charge or by the request.
        const points = BigInt(bought.reduce((sum, some) => sum + some, 0));
        const price = {
          id: 'p',
          model: 'm',
          plan: 'default',
          rates: {},
          perRequestNano: 0n,
          minimumChargeNano: nano * points,
        };
        const cost = computeCost({ price, units: { output: 1 }, multiplierPpm: 1_000_000 });
        expect(await settleBatch(bench.sql, [usageEvent(accountId, cost)])).toMatchObject([
          { chargedNano: nano * points, absorbedNano: 0n },
        ]);
        expect(await bench.account(accountId)).toMatchObject({ posted: 0n, held: 0n });
      },
    ),
    { numRuns: 25 },
  );
  expect(await bench.violations()).toEqual([]);
});
