import type { Client } from 'pg';
import type { Means } from '../clients/accounts.js';
import type { BuildPatch } from '../world/build-copy.js';
import { patchFunction } from '../world/database.js';

/** A build or a database that is broken on purpose: the run has to find out. */
export interface Sabotage {
  /** What is taken away, and what goes wrong then. */
  readonly about: string;
  readonly patches: readonly BuildPatch[];
  readonly spoil: (client: Client) => Promise<void>;
  /** Faults that bring it out, instead of all. */
  readonly kinds: readonly string[];
  /** How often they come, where that matters. */
  readonly faultsPerSecond?: number;
  /** What part of the traffic are streams of several seconds, where that matters. */
  readonly longStreams?: number;
  /** How requests are spread over accounts, where that matters. */
  readonly means?: Readonly<Record<Means, number>>;
}

const LEDGER = 'libs/ledger/dist';
const GATEWAY = 'apps/gateway/dist';

const nothing = (): Promise<void> => Promise.resolve();

export const SABOTAGES: Readonly<Record<string, Sabotage>> = {
  'no-unique-key': {
    about: 'the keys of usage records and transfers are gone: what is settled again is charged again',
    patches: [],
    spoil: async (client) => {
      await client.query('ALTER TABLE tollgate.usage_record DROP CONSTRAINT usage_record_pkey');
      await client.query('ALTER TABLE tollgate.transfer DROP CONSTRAINT transfer_once');
      await patchFunction(client, 'settle_batch', ['ON CONFLICT (request_id, swept) DO NOTHING', '']);
      await patchFunction(client, 'adjust', ['ON CONFLICT (kind, ref_id) DO NOTHING', '']);
    },
    kinds: [
      'connection cut at COMMIT, of a worker',
      'worker killed',
      'worker frozen past its jobs',
      'gateway cut off from Redis',
      'Redis rolled back',
    ],
  },
  'close-before-accepted': {
    about:
      'a hold is closed before anybody has its event: where the disk goes too, nothing tells what was delivered',
    patches: [
      {
        file: `${GATEWAY}/metering/usage-publisher.js`,
        from: 'const journalled = await Promise.all(',
        to: 'await onAccepted(events); const journalled = await Promise.all(',
      },
    ],
    spoil: nothing,
    kinds: ['gateway killed, its disk lost'],
    faultsPerSecond: 1,
    longStreams: 0.6,
  },
  'no-epoch-check': {
    about:
      'a pocket of a Redis that was rolled back is taken for what it was: money is held twice, and nobody pays',
    patches: [
      {
        file: `${LEDGER}/redis/hold.script.js`,
        from: 'if not p[1] or p[2] ~= history then',
        to: 'if not p[1] then',
      },
      { file: `${LEDGER}/redis/shut.script.js`, from: "if p[2] ~= history then return {'GONE'} end", to: '' },
      {
        file: `${LEDGER}/redis/touch.script.js`,
        from: '(escrow == p[1] and p[2] == history)',
        to: '(escrow == p[1])',
      },
    ],
    spoil: nothing,
    kinds: ['Redis rolled back'],
    // Between two of them accounts have to get their escrows back, and to spend something that can be forgotten.
    faultsPerSecond: 0.1,
    means: { ample: 5, tight: 60, 'spent once': 25, 'credit line': 10 },
  },
  'swept-stands': {
    about: 'true usage that comes after a guess is dropped: the guess stays',
    patches: [],
    spoil: async (client) => {
      await patchFunction(client, 'settle_batch', [
        'FROM unnest(v_events) WHERE v_fault[n] IS NULL AND NOT swept ORDER BY request_id, n',
        'FROM unnest(v_events) WHERE v_fault[n] IS NULL AND NOT swept AND request_id <> ALL (v_swept) ORDER BY request_id, n',
      ]);
      await patchFunction(client, 'settle_batch', [
        "WHEN same THEN 'known' ELSE 'quarantined' END",
        "WHEN same OR was_swept THEN 'known' ELSE 'quarantined' END",
      ]);
    },
    kinds: ['gateway frozen past its holds'],
    longStreams: 0.5,
  },
  'no-journal-check': {
    about: 'what the queue took counts as settled, and is not asked about: what the queue forgets is lost',
    patches: [
      {
        file: `${GATEWAY}/journal/journal.js`,
        from: 'this.book.queued(events.map(({ requestId }) => requestId));',
        to: 'this.book.known(events.map(({ requestId }) => requestId));',
      },
    ],
    spoil: nothing,
    kinds: ['jobs removed from the queue', 'Redis flushed', 'Redis rolled back'],
  },
};
