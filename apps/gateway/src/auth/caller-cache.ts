import { parseDialectName } from '@tollgate/contracts';
import type { ApiKeyRow } from '@tollgate/persistence';
import type { MasterKey } from '@tollgate/runtime';
import { LRUCache } from 'lru-cache';
import { GatewayError } from '../relay/gateway-errors.js';
import type { Caller } from './caller.js';

/** What a credential stands for. */
export type FoundCaller =
  | { readonly status: 'active'; readonly caller: Caller }
  | { readonly status: 'deactivated'; readonly reason: string }
  | { readonly status: 'unknown' };

const UNKNOWN: FoundCaller = { status: 'unknown' };

const CACHED_MAX = 50_000;
/** Notices drop what has changed within a second; this bounds what a lost notice can do. */
const CACHED_FOR_MS = 60_000;
/**
 * While Postgres cannot be asked, known callers go on as they were for so long: what they may spend is set aside already. A key that is
 * revoked in that time cannot be heard of anyway.
 */
const KEPT_FOR_MS = 15 * 60_000;
/** How long a caller that could not be looked up again goes on before Postgres is asked the next time. */
const ASKED_AGAIN_AFTER_MS = 5_000;
/** Asked for anew each time, so that a test may turn it. */
const CLOCK = { now: (): number => performance.now() };

interface KnownKey {
  readonly found: FoundCaller;
  readonly expiresAtMs: number;
}

/** Callers by the HMAC of their key, looked up in Postgres once and dropped when keys or accounts change. */
export class CallerCache {
  private readonly known = new LRUCache<string, KnownKey>({
    max: CACHED_MAX,
    ttl: CACHED_FOR_MS,
    perf: CLOCK,
  });
  /** What was known last, for when Postgres cannot be asked. */
  private readonly kept = new LRUCache<string, KnownKey>({ max: CACHED_MAX, ttl: KEPT_FOR_MS, perf: CLOCK });
  /** Lookups under way, so that many requests of a new key ask once. */
  private readonly pending = new Map<string, Promise<KnownKey>>();
  private generation = 0;

  constructor(
    private readonly masterKey: MasterKey,
    private readonly lookup: (keyHash: Buffer) => Promise<ApiKeyRow | null>,
  ) {}

  /**
   * Whom a credential belongs to: at once if that is known, else by a promise.
   * @throws GatewayError `billing_unavailable`, by rejection, if Postgres cannot be asked about a credential that was not known lately.
   */
  find(credential: string): FoundCaller | Promise<FoundCaller> {
    const keyHash = this.masterKey.hashSecret('api-key', credential);
    const id = keyHash.toString('base64');
    const known = this.known.get(id);
    return known === undefined ? this.load(id, keyHash).then(asOfNow) : asOfNow(known);
  }

  /** Forgets everything: API keys or accounts have changed. */
  clear(): void {
    this.generation += 1;
    this.known.clear();
    this.kept.clear();
    this.pending.clear();
  }

  private load(id: string, keyHash: Buffer): Promise<KnownKey> {
    const pending = this.pending.get(id);
    if (pending !== undefined) return pending;
    const { generation } = this;
    const loading = this.lookup(keyHash)
      .then((row) => {
        const known = toKnownKey(row);
        // What was read before a change must not be remembered after it.
        if (generation === this.generation) this.remember(id, known);
        return known;
      })
      .catch((cause: unknown) => {
        const kept = this.kept.get(id);
        if (kept !== undefined) {
          this.known.set(id, kept, { ttl: ASKED_AGAIN_AFTER_MS });
          return kept;
        }
        throw new GatewayError('billing_unavailable', {}, { cause });
      })
      .finally(() => {
        if (this.pending.get(id) === loading) this.pending.delete(id);
      });
    this.pending.set(id, loading);
    return loading;
  }

  private remember(id: string, known: KnownKey): void {
    this.known.set(id, known);
    this.kept.set(id, known);
  }
}

/** Keys expire without a notice. */
function asOfNow({ found, expiresAtMs }: KnownKey): FoundCaller {
  return expiresAtMs <= Date.now() ? { status: 'deactivated', reason: 'it has expired' } : found;
}

function toKnownKey(row: ApiKeyRow | null): KnownKey {
  const expiresAtMs = row?.expiresAt?.getTime() ?? Number.POSITIVE_INFINITY;
  return { found: toFound(row), expiresAtMs: row === null ? Number.POSITIVE_INFINITY : expiresAtMs };
}

function toFound(row: ApiKeyRow | null): FoundCaller {
  if (row === null || row.status === 'revoked') return UNKNOWN;
  if (row.status === 'disabled') return { status: 'deactivated', reason: 'it is disabled' };
  if (row.account.status === 'suspended') {
    return { status: 'deactivated', reason: 'its account is suspended' };
  }
  const { id, account, allowedModels } = row;
  return {
    status: 'active',
    caller: {
      accountId: account.id,
      apiKeyId: id,
      plan: account.plan,
      multiplierPpm: account.multiplierPpm,
      dialect: parseDialectName(row.dialect),
      allowedModels: allowedModels === null ? null : new Set(allowedModels),
    },
  };
}
