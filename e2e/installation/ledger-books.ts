import type { Pool } from 'pg';

/** One account as the ledger has it, in nano-credits. */
export interface Book {
  readonly posted: bigint;
  readonly held: bigint;
  readonly floor: bigint;
  readonly transfers: bigint;
  readonly absorbed: bigint;
}

/** Reads an account together with the sum of its transfers, and what was absorbed for it. */
export async function readBook(database: Pool, accountId: string): Promise<Book> {
  const { rows } = await database.query<Record<keyof Book, string>>(
    `SELECT a.posted, a.held, a.floor,
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
  const { posted, held, floor, transfers, absorbed } = row;
  return {
    posted: BigInt(posted),
    held: BigInt(held),
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
      const { posted, held, floor } = await readBook(database, accountId);
      if (posted - held < floor) below += 1;
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
