import { SqlMigration } from './sql-migration.js';

/** Places of two long functions, which otherwise stay as AddHolds and SettleFromOwnHolds have them. */
const HOLD_AND_SETTLE = `
DO $migration$
DECLARE
  v_place record;
  v_definition text;
BEGIN
  FOR v_place IN SELECT * FROM (VALUES
    ('hold_batch', 'SET search_path TO ''tollgate'', ''pg_temp''',
     'SET search_path TO ''tollgate'', ''pg_temp'' SET enable_seqscan TO ''off'''),
    ('hold_batch', 'LEFT JOIN reservation s ON s.id = x.r)',
     'LEFT JOIN LATERAL (SELECT * FROM reservation WHERE id = x.r OFFSET 0) AS s ON true)'),
    ('hold_batch', 'WHERE s.id = x.r AND x.ttl', 'WHERE s.id = x.r AND s.id = ANY (v_request) AND x.ttl'),
    ('settle_batch', 'LEFT JOIN reservation s ON s.id = x.request_id;',
     'LEFT JOIN LATERAL (SELECT * FROM reservation WHERE id = x.request_id OFFSET 0) AS s ON true;'),
    ('settle_batch', 'FROM reservation WHERE account_id = ANY (v_locked) AND kind = ''escrow'' AND state <> ''closed'') AS live',
     'FROM (SELECT r.* FROM unnest(v_locked) AS l (id) CROSS JOIN LATERAL (SELECT * FROM reservation
             WHERE account_id = l.id AND kind = ''escrow'' AND state <> ''closed'' OFFSET 0) AS r) AS x) AS live'),
    ('settle_batch', 'LEFT JOIN reservation s ON s.id = x.request_id AND s.kind = ''request'' AND s.state <> ''closed''',
     'LEFT JOIN LATERAL (SELECT * FROM reservation WHERE id = x.request_id OFFSET 0) AS s
        ON s.kind = ''request'' AND s.state <> ''closed'''),
    -- Only a hold that is open draws, and its account has been locked since that was read.
    ('settle_batch', 'WHERE v_drawn[x.n] IS NOT NULL AND s.id = x.request_id AND s.kind = ''request'' AND s.state <> ''closed'';',
     'WHERE v_drawn[x.n] IS NOT NULL AND s.id = x.request_id AND s.id = ANY (v_ids);')
  ) AS place (function, before, after)
  LOOP
    SELECT pg_get_functiondef(oid) INTO v_definition FROM pg_proc
     WHERE pronamespace = 'tollgate'::regnamespace AND proname = v_place.function;
    IF strpos(v_definition, v_place.before) = 0 THEN
      RAISE EXCEPTION '% is not that of this schema: "%" is missing', v_place.function, v_place.before;
    END IF;
    EXECUTE replace(v_definition, v_place.before, v_place.after);
  END LOOP;
END $migration$;
`;

const TOUCH = `
CREATE OR REPLACE FUNCTION tollgate.touch_batch(p_ids uuid[], p_ttl int, p_lock_timeout_ms int DEFAULT NULL,
  p_skip_locked boolean DEFAULT false, p_checkpoints jsonb DEFAULT NULL)
RETURNS SETOF uuid LANGUAGE plpgsql SECURITY DEFINER SET search_path = tollgate, pg_temp SET enable_seqscan = off AS $$
DECLARE
  v_locked uuid[] := lock_accounts(ARRAY(
    SELECT account_id FROM (SELECT * FROM reservation WHERE id = ANY (p_ids) OFFSET 0) AS s WHERE state = 'open'),
    p_lock_timeout_ms, p_skip_locked);
BEGIN
  UPDATE reservation s SET deadline_at = now() + make_interval(secs => p_ttl), checkpoint = COALESCE(c.body, s.checkpoint)
    FROM (SELECT * FROM reservation WHERE id = ANY (p_ids) OFFSET 0) AS x
    LEFT JOIN (SELECT (body ->> 'requestId')::uuid AS id, body FROM jsonb_array_elements(p_checkpoints) AS body) AS c
      ON c.id = x.id
   WHERE s.id = x.id AND s.id = ANY (p_ids) AND x.kind = 'request' AND x.state = 'open' AND x.account_id = ANY (v_locked);
  RETURN QUERY SELECT id FROM (SELECT * FROM reservation WHERE id = ANY (p_ids) OFFSET 0) AS s
    WHERE kind = 'request' AND state = 'open';
END $$;
`;

const CLOSE = `
CREATE OR REPLACE FUNCTION tollgate.close_batch(p jsonb, p_lock_timeout_ms int DEFAULT NULL, p_skip_locked boolean DEFAULT false)
RETURNS TABLE (request_id uuid, outcome text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = tollgate, pg_temp SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
  v_request uuid[]; v_cost bigint[]; v_locked uuid[];
BEGIN
  SELECT array_agg(r ORDER BY i), array_agg(cost ORDER BY i) INTO v_request, v_cost
    FROM ROWS FROM (jsonb_to_recordset(p) AS (r uuid, cost bigint)) WITH ORDINALITY AS x (r, cost, i);
  IF EXISTS (SELECT FROM unnest(v_cost) AS cost WHERE cost IS NULL OR cost < 0) THEN
    RAISE EXCEPTION 'a hold is closed with its cost, which is not negative' USING ERRCODE = '22003';
  END IF;
  v_locked := lock_accounts(ARRAY(
    SELECT account_id FROM (SELECT * FROM reservation WHERE id = ANY (v_request) OFFSET 0) AS s WHERE state = 'open'),
    p_lock_timeout_ms, p_skip_locked);
  RETURN QUERY
  WITH x AS (
    SELECT DISTINCT ON (r) r, LEAST(s.granted, cost) AS keeps, s.account_id, s.granted, s.account_id = ANY (v_locked) AS ours
      FROM unnest(v_request, v_cost) WITH ORDINALITY AS x (r, cost, i)
      JOIN LATERAL (SELECT * FROM reservation WHERE id = x.r OFFSET 0) AS s ON s.state = 'open' AND s.kind = 'request'
     ORDER BY r, i
  ), closed AS (
    UPDATE reservation s SET released = x.granted - x.keeps, state = CASE WHEN x.keeps = 0 THEN 'closed' ELSE 'closing' END
      FROM x WHERE s.id = x.r AND s.id = ANY (v_request) AND x.ours
    RETURNING s.id, s.account_id, s.released
  ), freed AS (
    UPDATE account a SET held = a.held - f.amount
      FROM (SELECT account_id, sum(released)::bigint AS amount FROM closed GROUP BY account_id) AS f
     WHERE a.id = f.account_id AND f.amount > 0
    RETURNING a.id
  )
  SELECT r.id, CASE WHEN c.id IS NOT NULL THEN 'closed' WHEN NOT x.ours THEN 'busy' ELSE 'not_open' END
    FROM unnest(v_request) WITH ORDINALITY AS r (id, i) LEFT JOIN x ON x.r = r.id LEFT JOIN closed c ON c.id = r.id
   ORDER BY r.i;
END $$;
`;

const GRANT = `
CREATE OR REPLACE FUNCTION tollgate.grant_escrow(p_account uuid, p_escrow uuid, p_total bigint)
RETURNS TABLE (outcome text, granted bigint, available bigint, "returning" bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = tollgate, pg_temp SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
  v_account account;
  v_escrow reservation;
  v_outcome text := 'open';
  v_more bigint := 0;
BEGIN
  IF (p_account IS NOT NULL AND p_escrow IS NOT NULL AND p_total >= 0) IS NOT TRUE THEN
    RAISE EXCEPTION 'an escrow needs an account, an id and a total' USING ERRCODE = '22023';
  END IF;
  SELECT * INTO v_account FROM account WHERE id = p_account FOR NO KEY UPDATE;
  IF v_account.id IS NULL THEN
    RETURN QUERY SELECT 'unknown_account', 0::bigint, 0::bigint, 0::bigint;
    RETURN;
  END IF;
  SELECT * INTO v_escrow FROM reservation WHERE id = p_escrow;
  IF v_escrow.account_id <> p_account OR v_escrow.kind <> 'escrow' THEN
    RAISE EXCEPTION 'reservation % is no escrow of account %', p_escrow, p_account USING ERRCODE = '22023';
  END IF;
  IF v_account.status <> 'active'
     OR EXISTS (SELECT FROM escrow_stop WHERE account_id = p_account AND cleared_at IS NULL) THEN
    v_outcome := 'suspended';
  ELSIF v_escrow.state <> 'open' THEN
    v_outcome := 'closing';
  ELSE
    v_more := GREATEST(0, LEAST(p_total - COALESCE(v_escrow.granted, 0), v_account.posted - v_account.held - v_account.floor));
    IF v_escrow.id IS NULL THEN
      UPDATE reservation SET state = 'closing', changed_at = now()
       WHERE id = (SELECT id FROM (SELECT * FROM reservation
         WHERE account_id = p_account AND kind = 'escrow' AND state <> 'closed' OFFSET 0) AS live WHERE state = 'open');
      INSERT INTO reservation (id, account_id, kind, granted) VALUES (p_escrow, p_account, 'escrow', v_more);
    ELSE
      UPDATE reservation SET granted = granted + v_more, changed_at = now() WHERE id = p_escrow;
    END IF;
    UPDATE account SET held = held + v_more WHERE id = p_account AND v_more > 0;
  END IF;
  RETURN QUERY SELECT v_outcome, COALESCE(v_escrow.granted, 0) + v_more,
    v_account.posted - v_account.held - v_account.floor - v_more,
    (SELECT COALESCE(sum(granted - used - released), 0)::bigint FROM (SELECT * FROM reservation
      WHERE account_id = p_account AND kind = 'escrow' AND state <> 'closed' OFFSET 0) AS live WHERE state = 'closing');
END $$;
`;

const LOCK = `
ALTER FUNCTION tollgate.lock_accounts(uuid[], int, boolean) SET enable_seqscan = off;
`;

/**
 * Holds and escrows are found by their keys, whatever Postgres believes of their table. If it gathers its statistics while nothing is
 * held, which may be at any time of rest, an index of what is open is as good as empty to it: it read all of it for each batch, or each
 * event, of the rush that came then (settling took 12 times as long, until the next statistics). "OFFSET 0" keeps conditions outside
 * of it from those inside, so that no index of some states only can serve them.
 */
export class FindHoldsByKey extends SqlMigration {
  readonly name = 'FindHoldsByKey1795219988000';
  protected readonly sql = [HOLD_AND_SETTLE, TOUCH, CLOSE, GRANT, LOCK].join('\n');
}
