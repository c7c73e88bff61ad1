import { formatAmount } from '@tollgate/pricing';
import { z } from 'zod';
import { amountText } from '../http/fields.js';

/** A balance as this API shows it: decimal strings of credits. */
export const balanceSchema = z
  .strictObject({
    posted: amountText,
    /** What open requests hold. Credits that the database set aside for a hold store are not shown as held. */
    held: amountText,
    /** posted − held − floor: what the next request may use. */
    available: amountText,
    floor: amountText,
  })
  .meta({ id: 'Balance' });

export type BalanceView = z.infer<typeof balanceSchema>;

/** Shows a balance given in nano-credits. */
export function balanceView(balance: { posted: bigint; held: bigint; floor: bigint }): BalanceView {
  const { posted, held, floor } = balance;
  return {
    posted: formatAmount(posted),
    held: formatAmount(held),
    available: formatAmount(posted - held - floor),
    floor: formatAmount(floor),
  };
}
