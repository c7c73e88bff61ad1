import { requestIdToWire } from '@tollgate/contracts';
import { requestIdTime, type UsageRow } from '@tollgate/persistence';
import { formatAmount } from '@tollgate/pricing';

/** A settled request as its caller reads it. Amounts are decimal strings of credits. */
export interface GenerationView {
  readonly object: 'generation';
  readonly request_id: string;
  readonly model: string;
  readonly units: { readonly [kind: string]: number };
  readonly cost: string;
  /** What the account paid of the cost. */
  readonly charged: string;
  readonly usage_source: string;
  readonly outcome: string;
  readonly attempts: number;
  readonly timings: { readonly first_byte_ms: number | null; readonly total_ms: number };
  /** When the request came in. */
  readonly created_at: string;
}

/** Shows one usage record. */
export function generationView(row: UsageRow): GenerationView {
  return {
    object: 'generation',
    request_id: requestIdToWire(row.requestId),
    model: row.model,
    units: Object.fromEntries(Object.entries(row.units).map(([kind, count]) => [snakeCase(kind), count])),
    cost: formatAmount(row.costNano),
    charged: formatAmount(row.chargedNano),
    usage_source: row.usageSource,
    outcome: row.outcome,
    attempts: row.attempts,
    timings: { first_byte_ms: row.firstByteMs, total_ms: row.totalMs },
    created_at: requestIdTime(row.requestId).toISOString(),
  };
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
