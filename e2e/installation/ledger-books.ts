import type { Pool } from 'pg';

/** One account as the ledger has it, in nano-credits. */
export interface Book {
  readonly posted: bigint;
  /** By requests whose holds are in Postgres. */
  readonly held: bigint;
  /** For requests whose holds are in Redis: all of what they may hold, and more. */
  readonly setAside: bigint;
  readonly floor: bigint;
  readonly transfers: bigint;
  readonly absorbed: bigint;
}

/** What Postgres has set aside for Redis of an account `a`. */
const ESCROWS = `(SELECT COALESCE(sum(r.granted - r.used - r.released), 0)::bigint FROM tollgate.reservation r
  WHERE r.account_id = a.id AND r.kind = 'escrow' AND r.state <> 'closed')`;

/** Accounts of which requests hold something in Postgres. */
export const ACCOUNTS_WITH_HOLDS = `SELECT a.id FROM tollgate.account a WHERE a.held <> ${ESCROWS}`;

/** Reads an account together with the sum of its transfers, and what was absorbed for it. */
export async function readBook(database: Pool, accountId: string): Promise<Book> {
  const { rows } = await database.query<Record<keyof Book, string>>(
    `SELECT a.posted, a.held - ${ESCROWS} AS held, ${ESCROWS} AS "setAside", a.floor,
            (SELECT COALESCE(sum(CASE WHEN credit_id = a.id THEN amount ELSE -amount END), 0)
               FROM tollgate.transfer WHERE account_id = a.id)::text AS transfers,
            (SELECT COALESCE(sum(t.amount), 0) FROM tollgate.transfer t
               JOIN tollgate.usage_record u ON u.request_id = t.ref_id
              WHERE t.kind = 'absorbed' AND u.account_id = a.id)::text AS absorbed
       FROM tollgate.account a WHERE a.id = $1`,
    [accountId],
  );
  const [row] = rows;
  if (row === undefined) throw new Error('no such account');
  const { posted, held, setAside, floor, transfers, absorbed } = row;
  return {
    posted: BigInt(posted),
    held: BigInt(held),
    setAside: BigInt(setAside),
    floor: BigInt(floor),
    transfers: BigInt(transfers),
    absorbed: BigInt(absorbed),
  };
}

/** Watches an account for moments below its floor, until it is told to stop. Postgres forbids them; nobody takes that on trust. */
export function watchFloor(database: Pool, accountId: string): { stop: () => Promise<number> } {
  let watching = true;
  let below = 0;
  const done = (async () => {
    while (watching) {
      const { posted, held, setAside, floor } = await readBook(database, accountId);
      if (posted - held - setAside < floor) below += 1;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  })();
  return {
    stop: async () => {
      watching = false;
      await done;
      return below;
    },
  };
}

/** What the ledger's own check finds wrong. */
export async function violations(database: Pool): Promise<unknown[]> {
  const { rows } = await database.query<Record<string, unknown>>('SELECT * FROM tollgate.ledger_violation');
  return rows;
}
