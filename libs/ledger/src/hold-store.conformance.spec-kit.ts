import { v7 as uuidv7 } from 'uuid';
import { HoldStoreUnavailableError, type HoldStore } from './hold-store.js';
import { openOnes, requestIds, touches, usageEvent, type LedgerBench } from './ledger.spec-kit.js';
import { settleBatch } from './settle-batch.js';

/** A store under test. */
export interface StoreUnderTest {
  readonly bench: LedgerBench;
  /** A store of its own on the same books, as another gateway has one. The suite shuts it down. */
  newStore(): HoldStore;
}

/** What every HoldStore does. `open` is called once for each group of tests, after the spec's own beforeAll. */
export function describeHoldStore(name: string, open: () => StoreUnderTest): void {
  describe(name, () => {
    let bench: LedgerBench;
    let store: HoldStore;
    let other: HoldStore;

    beforeAll(() => {
      const made = open();
      bench = made.bench;
      store = made.newStore();
      other = made.newStore();
    });

    afterAll(async () => {
      await Promise.all([store.shutdown(), other.shutdown()]);
    });

    afterEach(async () => {
      expect(await bench.violations()).toEqual([]);
    });

    const hold = (accountId: string, totalNano: bigint, leastNano?: bigint) =>
      store.hold({
        requestId: uuidv7(),
        accountId,
        totalNano,
        ...(leastNano !== undefined && { leastNano }),
      });

    it('sets credits aside and says what is left', async () => {
      const accountId = await bench.newAccount(100n);
      expect(await hold(accountId, 60n)).toMatchObject({
        outcome: 'held',
        grantedNano: 60n,
        availableNano: 40n,
      });
    });

    it('refuses above the available balance, and says what is available', async () => {
      const accountId = await bench.newAccount(100n);
      await hold(accountId, 60n);
      expect(await hold(accountId, 41n)).toEqual({ outcome: 'refused', availableNano: 40n });
      expect(await hold(accountId, 40n)).toMatchObject({ outcome: 'held', availableNano: 0n });
    });

    it('reaches into a credit line, down to the floor', async () => {
      const accountId = await bench.newAccount(100n, -50n);
      expect(await hold(accountId, 151n)).toEqual({ outcome: 'refused', availableNano: 150n });
      expect(await hold(accountId, 150n)).toMatchObject({ outcome: 'held' });
    });

    it('takes what is available where that is of use', async () => {
      const accountId = await bench.newAccount(100n);
      expect(await hold(accountId, 500n, 101n)).toEqual({ outcome: 'refused', availableNano: 100n });
      expect(await hold(accountId, 500n, 100n)).toMatchObject({
        outcome: 'held',
        grantedNano: 100n,
        availableNano: 0n,
      });
    });

    it('holds nothing for a request that costs nothing, even without credits', async () => {
      const accountId = await bench.newAccount(0n);
      expect(await hold(accountId, 0n)).toMatchObject({ outcome: 'held', grantedNano: 0n });
    });

    it('refuses amounts beyond any balance instead of failing', async () => {
      const accountId = await bench.newAccount(100n);
      expect(await hold(accountId, 2n ** 80n)).toEqual({ outcome: 'refused', availableNano: 100n });
    });

    it('holds amounts near the largest balance exactly', async () => {
      const largest = 9_000_000_000_000_000n;
      const accountId = await bench.newAccount(largest);
      expect(await hold(accountId, largest - 1n)).toMatchObject({ outcome: 'held', availableNano: 1n });
      expect(await hold(accountId, 2n)).toEqual({ outcome: 'refused', availableNano: 1n });
      expect(await hold(accountId, 1n)).toMatchObject({ outcome: 'held', availableNano: 0n });
    });

    it('refuses an account that does not exist', async () => {
      expect(await hold(uuidv7(), 0n)).toEqual({ outcome: 'refused', availableNano: 0n });
    });

    it('an unaffordable hold does not refuse the affordable one behind it', async () => {
      const accountId = await bench.newAccount(20n);
      const outcomes = [];
      for (const totalNano of [15n, 100n, 5n, 1n]) outcomes.push((await hold(accountId, totalNano)).outcome);
      expect(outcomes).toEqual(['held', 'refused', 'held', 'refused']);
    });

    it('grants exactly twenty of two hundred at once, through two gateways, on a balance of twenty', async () => {
      const accountId = await bench.newAccount(20_000n);
      const results = await Promise.all(
        requestIds(200).map((requestId, index) =>
          (index % 2 === 0 ? store : other).hold({ requestId, accountId, totalNano: 1_000n }),
        ),
      );
      expect(results.filter(({ outcome }) => outcome === 'held')).toHaveLength(20);
      expect(results.filter(({ outcome }) => outcome === 'refused')).toHaveLength(180);
    });

    it('extends a hold to the new total, once however often it is asked, and never shrinks it', async () => {
      const accountId = await bench.newAccount(100n);
      const requestId = uuidv7();
      await store.hold({ requestId, accountId, totalNano: 30n });
      for (const totalNano of [70n, 70n, 10n]) {
        expect(await store.hold({ requestId, accountId, totalNano })).toMatchObject({
          outcome: 'held',
          grantedNano: 70n,
          availableNano: 30n,
        });
      }
      expect(await store.hold({ requestId, accountId, totalNano: 101n })).toEqual({
        outcome: 'refused',
        availableNano: 30n,
      });
      expect(await store.hold({ requestId, accountId, totalNano: 500n, leastNano: 90n })).toMatchObject({
        grantedNano: 100n,
      });
    });

    it('says which holds are open when it renews them', async () => {
      const accountId = await bench.newAccount(1_000n);
      const [open = '', closed = '', unknown = ''] = requestIds(3);
      await store.hold({ requestId: open, accountId, totalNano: 10n });
      await store.hold({ requestId: closed, accountId, totalNano: 10n });
      await store.close(closed, accountId, 0n);
      expect(await store.touch(touches(accountId, [open, closed, unknown]))).toEqual(
        new Map([
          [open, 'open'],
          [closed, 'gone'],
          [unknown, 'gone'],
        ]),
      );
      expect(await store.touch([])).toEqual(new Map());
    });

    it('renews hundreds of holds of several accounts at once, with their checkpoints', async () => {
      const accounts = [await bench.newAccount(1_000n), await bench.newAccount(1_000n)];
      const held = requestIds(450).map((requestId, index) => ({
        requestId,
        accountId: accounts[index % 2] ?? '',
      }));
      await Promise.all(held.map((some) => store.hold({ ...some, totalNano: 1n })));
      const outcomes = await store.touch(
        held.map(({ requestId, accountId }) => ({
          requestId,
          accountId,
          checkpoint: usageEvent(accountId, 1n, { requestId, swept: true }),
        })),
      );
      expect(openOnes(outcomes).size).toBe(450);
    });

    it('frees a hold that cost nothing, at once', async () => {
      const accountId = await bench.newAccount(100n);
      const requestId = uuidv7();
      await store.hold({ requestId, accountId, totalNano: 80n });
      await store.close(requestId, accountId, 0n);
      expect(await hold(accountId, 100n)).toMatchObject({ outcome: 'held' });
    });

    it('closes a hold of nothing', async () => {
      const accountId = await bench.newAccount(100n);
      const requestId = uuidv7();
      await store.hold({ requestId, accountId, totalNano: 0n });
      await store.close(requestId, accountId, 0n);
      expect(openOnes(await store.touch(touches(accountId, [requestId]))).size).toBe(0);
      expect(await hold(accountId, 100n)).toMatchObject({ outcome: 'held' });
    });

    it('keeps the cost of a closed hold set aside until it is settled, and after', async () => {
      const accountId = await bench.newAccount(100n);
      const requestId = uuidv7();
      const held = await store.hold({ requestId, accountId, totalNano: 80n });
      await store.close(requestId, accountId, 30n);
      expect(await hold(accountId, 71n)).toEqual({ outcome: 'refused', availableNano: 70n });
      const escrowId = held.outcome === 'held' ? held.escrowId : null;
      const event = usageEvent(accountId, 30n, { requestId, ...(escrowId !== null && { escrowId }) });
      expect(await settleBatch(bench.sql, [event])).toMatchObject([{ chargedNano: 30n, absorbedNano: 0n }]);
      expect(await hold(accountId, 71n)).toEqual({ outcome: 'refused', availableNano: 70n });
      expect(await hold(accountId, 70n)).toMatchObject({ outcome: 'held' });
    });

    it('does nothing when a hold is closed twice, or was never there', async () => {
      const accountId = await bench.newAccount(100n);
      const requestId = uuidv7();
      await store.hold({ requestId, accountId, totalNano: 40n });
      await store.close(requestId, accountId, 30n);
      await Promise.all([store.close(requestId, accountId, 0n), store.close(requestId, accountId, 5n)]);
      await store.close(uuidv7(), accountId, 3n);
      expect(await hold(accountId, 71n)).toEqual({ outcome: 'refused', availableNano: 70n });
    });

    it('refuses everything after its shutdown as unavailable', async () => {
      const closed = open().newStore();
      await closed.shutdown();
      const accountId = uuidv7();
      const requestId = uuidv7();
      const holding = closed.hold({ requestId, accountId, totalNano: 1n });
      await expect(holding).rejects.toThrow(HoldStoreUnavailableError);
      await expect(closed.close(requestId, accountId, 1n)).rejects.toThrow(HoldStoreUnavailableError);
    });
  });
}
