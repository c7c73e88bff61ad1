import type { Settings } from '@tollgate/persistence';
import { formatAmount } from '@tollgate/pricing';

const NANO_PER_WHOLE = 1_000_000_000n;

/** What a key has and used, in points. Nothing is booked in points: this is how the operator likes it shown. */
export function pointsView(
  { label, nanoPerPoint }: Settings['points'],
  amounts: { readonly availableNano: bigint; readonly chargedNano: bigint },
): object {
  return {
    label,
    credits_per_point: formatAmount(nanoPerPoint),
    available: points(amounts.availableNano, nanoPerPoint),
    charged: points(amounts.chargedNano, nanoPerPoint),
  };
}

/** With nine decimals at most, rounded down: nobody is shown more than there is. Neither amount is ever negative. */
function points(amountNano: bigint, nanoPerPoint: bigint): string {
  return formatAmount((amountNano * NANO_PER_WHOLE) / nanoPerPoint);
}
