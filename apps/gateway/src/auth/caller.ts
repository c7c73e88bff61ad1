import type { DialectName } from '@tollgate/contracts';

/** The authenticated identity of one request. */
export interface Caller {
  readonly accountId: string;
  readonly apiKeyId: string;
  readonly plan: string;
  /** Parts per million that the cost is multiplied by. */
  readonly multiplierPpm: number;
  /** The dialect that the API key or its account is set to; null where neither is. */
  readonly dialect: DialectName | null;
  /** Models that the API key may use; null for all. */
  readonly allowedModels: ReadonlySet<string> | null;
}

/** Whether this caller may use the model. */
export function mayUse(caller: Caller, model: string): boolean {
  return caller.allowedModels === null || caller.allowedModels.has(model);
}
