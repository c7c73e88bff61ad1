import type { Price, UnitKind } from '@tollgate/pricing';

/** A price as Postgres hands it out: bigint columns and rates as decimal strings. */
export interface PriceColumns {
  readonly id: string;
  readonly model: string;
  readonly plan: string;
  readonly rates: Readonly<Record<string, string>>;
  readonly per_request: string;
  readonly minimum_charge: string;
}

/** The price with this id, in force or not; null if there is none. Prices never change. */
export async function readPrice(
  select: (text: string, params: unknown[]) => Promise<readonly unknown[]>,
  priceId: string,
): Promise<Price | null> {
  const rows = await select(
    'SELECT id, model, plan, rates, per_request, minimum_charge FROM tollgate.price WHERE id = $1',
    [priceId],
  );
  // These are the columns that the statement names.
  const [row] = rows as readonly PriceColumns[];
  return row === undefined ? null : toPrice(row);
}

export function toPrice(row: PriceColumns): Price {
  return {
    id: row.id,
    model: row.model,
    plan: row.plan,
    rates: toRates(row.rates),
    perRequestNano: BigInt(row.per_request),
    minimumChargeNano: BigInt(row.minimum_charge),
  };
}

/** A kind that this build does not know stays in the object, where nothing reads it. */
function toRates(rates: Readonly<Record<string, string>>): { readonly [kind in UnitKind]?: bigint } {
  return Object.fromEntries(Object.entries(rates).map(([kind, rate]) => [kind, BigInt(rate)]));
}
