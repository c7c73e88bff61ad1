import type { Connection } from './read-snapshot.js';
import { lowestRequestId } from './request-id-time.js';
import { TRUE_RECORD } from './usage-rows.js';

/** A span of time by when requests came in: from its first moment to the first one after it. */
export interface Span {
  readonly from: Date;
  readonly to: Date;
}

/** What requests were and what was paid for them. */
export interface ChargedSum {
  /** Settled requests, those too that cost nothing. */
  readonly requests: number;
  readonly chargedNano: bigint;
}

/** What was paid for one model in one of the spans that were asked for. */
export interface ChargedRow {
  /** Which span, counted from 0. */
  readonly span: number;
  readonly model: string;
  readonly chargedNano: bigint;
}

/** What an account, or one of its API keys, paid for the requests of a span. */
export async function sumCharged(
  connection: Connection,
  query: Span & { readonly accountId: string; readonly apiKeyId?: string },
): Promise<ChargedSum> {
  const { accountId, apiKeyId = null, from, to } = query;
  const { rows } = await connection.query<{ requests: string; charged: string }>(
    `SELECT count(*) AS requests, COALESCE(sum(u.cost), 0)
            - COALESCE((SELECT sum(t.amount) FROM tollgate.transfer t JOIN tollgate.usage_record o ON o.request_id = t.ref_id
               WHERE t.kind = 'absorbed' AND t.ref_id >= $3 AND t.ref_id < $4 AND NOT o.swept AND o.account_id = $1
                 AND ($2::uuid IS NULL OR o.api_key_id = $2)), 0) AS charged
       FROM tollgate.usage_record u
      WHERE u.account_id = $1 AND u.request_id >= $3 AND u.request_id < $4 AND ($2::uuid IS NULL OR u.api_key_id = $2)
        AND ${TRUE_RECORD}`,
    [accountId, apiKeyId, lowestRequestId(from), lowestRequestId(to)],
  );
  const { requests = '0', charged = '0' } = rows[0] ?? {};
  return { requests: Number(requests), chargedNano: BigInt(charged) };
}

/** What an account paid in each span for each model, in the order of spans and of names; nothing where it paid nothing. */
export async function listCharged(
  connection: Connection,
  accountId: string,
  spans: readonly Span[],
): Promise<ChargedRow[]> {
  const { rows } = await connection.query<{ span: string; model: string; charged: string }>(
    `SELECT s.n - 1 AS span, c.model, c.charged
       FROM unnest($2::uuid[], $3::uuid[]) WITH ORDINALITY AS s (first_id, end_id, n)
      CROSS JOIN LATERAL (
        SELECT p.model, sum(p.amount) AS charged FROM (
          SELECT u.model, u.cost AS amount FROM tollgate.usage_record u
           WHERE u.account_id = $1 AND u.request_id >= s.first_id AND u.request_id < s.end_id AND ${TRUE_RECORD}
          UNION ALL
          SELECT o.model, -t.amount FROM tollgate.transfer t JOIN tollgate.usage_record o ON o.request_id = t.ref_id
           WHERE t.kind = 'absorbed' AND t.ref_id >= s.first_id AND t.ref_id < s.end_id AND NOT o.swept AND o.account_id = $1
        ) AS p GROUP BY p.model) AS c
      WHERE c.charged > 0 ORDER BY s.n, c.model`,
    [accountId, spans.map(({ from }) => lowestRequestId(from)), spans.map(({ to }) => lowestRequestId(to))],
  );
  return rows.map(({ span, model, charged }) => ({
    span: Number(span),
    model,
    chargedNano: BigInt(charged),
  }));
}
