import { SqlMigration } from './sql-migration.js';

/**
 * Settling. `usage_record`'s primary key is the only gate: money moves for the rows that this call inserted and for no
 * others. What can never settle goes to `quarantine` in the same transaction, so one bad event stops nothing.
 */
export class AddSettling extends SqlMigration {
  readonly name = 'AddSettling1795219440000';
  protected readonly sql = `${READ_EVENTS}${SETTLE_BATCH}${QUARANTINE_EVENT}`;
}

/**
 * Numbers come as numeric and are cast only once they are known to fit, so that a count beyond its column is a fault of its
 * event and not of the statement. The rest is what the contract's schema and the table's constraints make sure of.
 */
const READ_EVENTS = `
CREATE TYPE tollgate.usage_event AS (
  n int, fault text, body_hash bytea, request_id uuid, account_id uuid, api_key_id uuid, deployment_id uuid, price_id uuid,
  model text, upstream_model text, units jsonb, billable boolean, usage_source text, outcome text, finished_at timestamptz,
  cost bigint, multiplier_ppm int, attempts int, first_byte_ms int, total_ms int);

CREATE FUNCTION tollgate.fits(p_value numeric, p_most bigint) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT p_value >= 0 AND p_value <= p_most AND p_value = trunc(p_value)
$$;

-- OFFSET 0 keeps the planner from pasting the checks into every column.
CREATE FUNCTION tollgate.read_usage_events(p jsonb, p_from uuid, p_to uuid) RETURNS SETOF tollgate.usage_event
LANGUAGE sql STABLE SET search_path = tollgate, pg_temp AS $$
  SELECT e.n::int, f.fault, decode(x."bodyHash", 'hex'), x."requestId", x."accountId", x."apiKeyId", x."deploymentId",
         x."priceId", x.model, x."upstreamModel", x.units, x.billable, x."usageSource", x.outcome, x."finishedAt",
         CASE WHEN f.fault IS NULL THEN x."costNano"::bigint END,
         CASE WHEN f.fault IS NULL THEN x."multiplierPpm"::int END, CASE WHEN f.fault IS NULL THEN x.attempts::int END,
         CASE WHEN f.fault IS NULL THEN x."firstByteMs"::int END, CASE WHEN f.fault IS NULL THEN x."totalMs"::int END
    FROM jsonb_array_elements(p) WITH ORDINALITY AS e (body, n)
   CROSS JOIN LATERAL jsonb_to_record(e.body) AS x ("bodyHash" text, "requestId" uuid, "accountId" uuid, "apiKeyId" uuid,
     "deploymentId" uuid, "priceId" uuid, model text, "upstreamModel" text, units jsonb, billable boolean,
     "usageSource" text, outcome text, "finishedAt" timestamptz, "costNano" numeric, "multiplierPpm" numeric,
     attempts numeric, "firstByteMs" numeric, "totalMs" numeric)
   CROSS JOIN LATERAL (SELECT CASE
     WHEN fits(x."costNano", 9000000000000000) IS NOT TRUE THEN 'cost_out_of_range'
     WHEN (fits(x."multiplierPpm", 2147483647) AND fits(x.attempts, 2147483647) AND fits(x."totalMs", 2147483647)
       AND fits(COALESCE(x."firstByteMs", 0), 2147483647)) IS NOT TRUE THEN 'number_out_of_range'
     WHEN x."requestId" < p_from OR x."requestId" >= p_to THEN 'outside_kept_months'
     END AS fault OFFSET 0) AS f
$$;
REVOKE ALL ON FUNCTION tollgate.read_usage_events FROM PUBLIC;
`;

/**
 * Draws on the request's own hold, then on what is available, and absorbs the rest; the hold ends. An account's events
 * are taken in the order of their ids, each release before the next draw, so that a batch settles like its events one
 * by one. The loop only reckons: posted, held and seq of one account after the other. Rows of a unique key are inserted in
 * the order of the key, because an account's lock does not protect against the same key under another account.
 */
const SETTLE_BATCH = `
CREATE FUNCTION tollgate.settle_batch(p jsonb)
RETURNS TABLE (request_id uuid, outcome text, reason text, charged bigint, absorbed bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = tollgate, pg_temp AS $$
#variable_conflict use_column
DECLARE
  c_revenue constant uuid := '00000000-0000-0000-0000-000000000001';
  c_absorbed constant uuid := '00000000-0000-0000-0000-000000000002';
  v_events usage_event[] := ARRAY(SELECT e FROM read_usage_events(p,
    uuid_v7_floor(now() - interval '13 months'), uuid_v7_floor(now() + interval '1 day')) AS e ORDER BY e.n);
  v_locked uuid[] := lock_accounts(ARRAY(SELECT account_id FROM unnest(v_events) WHERE fault IS NULL), NULL, false);
  v_posted bigint[]; v_held bigint[]; v_floor bigint[]; v_seq bigint[];
  v_fault text[]; v_fresh uuid[]; v_outcome text[];
  v_drawn bigint[]; v_charged bigint[]; v_absorbed bigint[]; v_account_seq bigint[]; v_after bigint[];
  e record; a int;
BEGIN
  SELECT array_agg(COALESCE(x.fault, CASE WHEN l.id IS NULL THEN 'unknown_account'
                                          WHEN s.account_id <> x.account_id THEN 'request_of_another_account' END) ORDER BY x.n)
    INTO v_fault
    FROM unnest(v_events) AS x LEFT JOIN unnest(v_locked) AS l (id) ON l.id = x.account_id
    LEFT JOIN reservation s ON s.id = x.request_id;

  WITH inserted AS (
    INSERT INTO usage_record (request_id, account_id, api_key_id, model, upstream_model, deployment_id, price_id,
        multiplier_ppm, units, billable, usage_source, outcome, cost, attempts, first_byte_ms, total_ms, finished_at, body_hash)
      SELECT request_id, account_id, api_key_id, model, upstream_model, deployment_id, price_id, multiplier_ppm, units,
             billable, usage_source, outcome, cost, attempts, first_byte_ms, total_ms, finished_at, body_hash
        FROM unnest(v_events) WHERE v_fault[n] IS NULL ORDER BY request_id, n
      ON CONFLICT (request_id, swept) DO NOTHING RETURNING request_id)
  SELECT array_agg(request_id) INTO v_fresh FROM inserted;

  -- Of the same id twice in one batch the first was inserted; the other is known, or has other content.
  SELECT array_agg(CASE WHEN fault IS NOT NULL THEN 'quarantined' WHEN is_fresh AND first_n = n THEN 'settled'
                        WHEN same THEN 'known' ELSE 'quarantined' END ORDER BY n),
         array_agg(COALESCE(fault, CASE WHEN NOT same THEN 'other_content' END) ORDER BY n)
    INTO v_outcome, v_fault
    FROM (SELECT x.n, v_fault[x.n] AS fault, x.request_id = ANY (v_fresh) AS is_fresh, u.body_hash = x.body_hash AS same,
                 min(x.n) FILTER (WHERE v_fault[x.n] IS NULL) OVER (PARTITION BY x.request_id) AS first_n
            FROM unnest(v_events) AS x LEFT JOIN usage_record u ON u.request_id = x.request_id AND NOT u.swept) AS y;

  SELECT array_agg(posted ORDER BY i), array_agg(held ORDER BY i), array_agg(floor ORDER BY i), array_agg(seq ORDER BY i)
    INTO v_posted, v_held, v_floor, v_seq
    FROM unnest(v_locked) WITH ORDINALITY AS l (id, i) JOIN account ON account.id = l.id;
  FOR e IN
    SELECT x.n, x.cost, l.i AS place, COALESCE(s.granted - s.used - s.released, 0) AS hold
      FROM unnest(v_events) AS x JOIN unnest(v_locked) WITH ORDINALITY AS l (id, i) ON l.id = x.account_id
      LEFT JOIN reservation s ON s.id = x.request_id AND s.kind = 'request' AND s.state <> 'closed'
     WHERE v_outcome[x.n] = 'settled' ORDER BY l.i, x.request_id
  LOOP
    a := e.place;
    v_drawn[e.n] := LEAST(e.cost, e.hold);
    v_held[a] := v_held[a] - e.hold;
    v_charged[e.n] := LEAST(e.cost, v_drawn[e.n] + GREATEST(0, v_posted[a] - v_drawn[e.n] - v_held[a] - v_floor[a]));
    v_absorbed[e.n] := e.cost - v_charged[e.n];
    v_posted[a] := v_posted[a] - v_charged[e.n];
    IF v_charged[e.n] > 0 THEN
      v_seq[a] := v_seq[a] + 1;
      v_account_seq[e.n] := v_seq[a];
      v_after[e.n] := v_posted[a];
    END IF;
  END LOOP;

  INSERT INTO transfer (kind, ref_id, debit_id, credit_id, amount, account_id, account_seq, balance_after)
    SELECT 'usage', x.request_id, x.account_id, c_revenue, v_charged[x.n], x.account_id, v_account_seq[x.n], v_after[x.n]
      FROM unnest(v_events) AS x WHERE v_charged[x.n] > 0 ORDER BY x.account_id, v_account_seq[x.n];
  INSERT INTO transfer (kind, ref_id, debit_id, credit_id, amount)
    SELECT 'absorbed', x.request_id, c_absorbed, c_revenue, v_absorbed[x.n]
      FROM unnest(v_events) AS x WHERE v_absorbed[x.n] > 0 ORDER BY x.n;
  UPDATE reservation s SET used = s.used + v_drawn[x.n], released = s.granted - s.used - v_drawn[x.n], state = 'closed'
    FROM unnest(v_events) AS x
   WHERE v_outcome[x.n] = 'settled' AND s.id = x.request_id AND s.kind = 'request' AND s.state <> 'closed';
  UPDATE account SET posted = l.posted, held = l.held, seq = l.seq
    FROM unnest(v_locked, v_posted, v_held, v_seq) AS l (id, posted, held, seq)
   WHERE account.id = l.id AND (account.posted, account.held) <> (l.posted, l.held);
  INSERT INTO quarantine (request_id, body_hash, reason, body)
    SELECT x.request_id, x.body_hash, v_fault[x.n], (p -> x.n - 1) - 'bodyHash' FROM unnest(v_events) AS x
     WHERE v_outcome[x.n] = 'quarantined' ORDER BY x.request_id, x.body_hash ON CONFLICT DO NOTHING;
  RETURN QUERY SELECT x.request_id, v_outcome[x.n], CASE WHEN v_outcome[x.n] = 'quarantined' THEN v_fault[x.n] END,
      COALESCE(v_charged[x.n], 0), COALESCE(v_absorbed[x.n], 0) FROM unnest(v_events) AS x ORDER BY x.n;
END $$;
COMMENT ON FUNCTION tollgate.settle_batch IS
  'p: usage events, each with its bodyHash in hexadecimal; answers in their order. Outcome: settled, known (nothing '
  'moved), or quarantined, with the reason';
REVOKE ALL ON FUNCTION tollgate.settle_batch FROM PUBLIC;
`;

const QUARANTINE_EVENT = `
CREATE FUNCTION tollgate.quarantine_event(p_request uuid, p_hash bytea, p_reason text, p_body jsonb) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = tollgate, pg_temp AS $$
  INSERT INTO quarantine (request_id, body_hash, reason, body) VALUES (p_request, p_hash, p_reason, p_body)
    ON CONFLICT DO NOTHING
$$;
COMMENT ON FUNCTION tollgate.quarantine_event IS 'for an event that fails settle_batch even alone, or that cannot be read';
REVOKE ALL ON FUNCTION tollgate.quarantine_event FROM PUBLIC;
`;
