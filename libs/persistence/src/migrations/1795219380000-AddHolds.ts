import { SqlMigration } from './sql-migration.js';

/**
 * Holds. Every function that moves money first locks the accounts, by id, FOR NO KEY UPDATE: one order for all writers,
 * so none can deadlock, and no foreign key check waits for them. After that lock each statement sees what is committed.
 */
export class AddHolds extends SqlMigration {
  readonly name = 'AddHolds1795219380000';
  protected readonly sql = `${LOCK_ACCOUNTS}${HOLD_BATCH}${TOUCH_AND_CLOSE}${EXPIRE_HOLDS}`;
}

const LOCK_ACCOUNTS = `
CREATE FUNCTION tollgate.lock_accounts(p_ids uuid[], p_lock_timeout_ms int, p_skip_locked boolean) RETURNS uuid[]
LANGUAGE plpgsql SET search_path = tollgate, pg_temp AS $$
BEGIN
  IF p_lock_timeout_ms IS NOT NULL THEN
    PERFORM set_config('lock_timeout', p_lock_timeout_ms || 'ms', true);
  END IF;
  IF p_skip_locked THEN
    RETURN ARRAY(SELECT id FROM account WHERE id = ANY (p_ids) ORDER BY id FOR NO KEY UPDATE SKIP LOCKED);
  END IF;
  RETURN ARRAY(SELECT id FROM account WHERE id = ANY (p_ids) ORDER BY id FOR NO KEY UPDATE);
END $$;
COMMENT ON FUNCTION tollgate.lock_accounts IS
  'locks until the transaction ends; answers those that exist and are locked now, by id. A time-out applies like SET LOCAL';
REVOKE ALL ON FUNCTION tollgate.lock_accounts FROM PUBLIC;
`;

/**
 * The loop decides and writes nothing: "slot" is the first row of the same request, "place" the account's position
 * among the locked ones. A request id that is taken by another account, or that has a usage record, is settled.
 */
const HOLD_BATCH = `
CREATE FUNCTION tollgate.hold_batch(p jsonb, p_lock_timeout_ms int DEFAULT NULL, p_skip_locked boolean DEFAULT false)
RETURNS TABLE (request_id uuid, outcome text, granted bigint, available bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = tollgate, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_request uuid[]; v_account uuid[]; v_total bigint[]; v_least bigint[]; v_ttl int[];
  v_locked uuid[]; v_available bigint[]; v_taken bigint[];
  v_slot int[]; v_place int[]; v_missing text[];
  v_owner uuid[]; v_state text[]; v_before bigint[]; v_after bigint[]; v_renewed int[];
  v_outcome text[]; v_granted bigint[]; v_left bigint[];
  v_s int; v_p int; v_has bigint; v_gets bigint;
BEGIN
  SELECT array_agg(r ORDER BY i), array_agg(a ORDER BY i), array_agg(total ORDER BY i),
         array_agg(LEAST(least, total) ORDER BY i), array_agg(ttl ORDER BY i)
    INTO v_request, v_account, v_total, v_least, v_ttl
    FROM ROWS FROM (jsonb_to_recordset(p) AS (r uuid, a uuid, total bigint, least bigint, ttl int))
         WITH ORDINALITY AS x (r, a, total, least, ttl, i);
  IF v_request IS NULL THEN RETURN; END IF;
  IF EXISTS (SELECT FROM unnest(v_request, v_account, v_total, v_ttl) AS x (r, a, total, ttl)
              WHERE (r IS NOT NULL AND a IS NOT NULL AND total >= 0 AND ttl > 0) IS NOT TRUE) THEN
    RAISE EXCEPTION 'a hold needs a request, an account, a total and a time to live' USING ERRCODE = '22023';
  END IF;
  v_locked := lock_accounts(v_account, p_lock_timeout_ms, p_skip_locked);
  SELECT array_agg(a.posted - a.held - a.floor ORDER BY l.i), array_agg(0 ORDER BY l.i) INTO v_available, v_taken
    FROM unnest(v_locked) WITH ORDINALITY AS l (id, i) JOIN account a ON a.id = l.id;

  SELECT array_agg(slot ORDER BY i), array_agg(place ORDER BY i), array_agg(missing ORDER BY i),
         array_agg(owner ORDER BY i), array_agg(state ORDER BY i), array_agg(has ORDER BY i)
    INTO v_slot, v_place, v_missing, v_owner, v_state, v_before
    FROM (SELECT x.i, min(x.i) OVER (PARTITION BY x.r) AS slot, l.i AS place,
                 CASE WHEN a.id IS NULL THEN 'unknown_account' ELSE 'busy' END AS missing,
                 s.account_id AS owner, s.granted AS has,
                 CASE WHEN s.id IS NOT NULL THEN s.state
                      WHEN EXISTS (SELECT FROM usage_record u WHERE u.request_id = x.r) THEN 'closed' END AS state
            FROM unnest(v_request, v_account) WITH ORDINALITY AS x (r, a, i)
            LEFT JOIN account a ON a.id = x.a
            LEFT JOIN unnest(v_locked) WITH ORDINALITY AS l (id, i) ON l.id = x.a
            LEFT JOIN reservation s ON s.id = x.r) AS known;
  v_after := v_before;
  v_renewed := array_fill(NULL::int, ARRAY[cardinality(v_request)]);

  FOR n IN 1..cardinality(v_request) LOOP
    v_s := v_slot[n]; v_p := v_place[n];
    v_has := COALESCE(v_after[v_s], 0);
    v_granted[n] := v_has;
    v_left[n] := COALESCE(v_available[v_p], 0);
    v_gets := LEAST(GREATEST(v_total[n], v_has), v_has + v_left[n]);
    IF v_p IS NULL THEN
      v_outcome[n] := v_missing[n];
    ELSIF v_state[v_s] <> 'open' OR v_owner[v_s] <> v_account[n] THEN
      v_outcome[n] := 'settled';
    ELSIF v_gets < v_least[n] THEN
      v_outcome[n] := 'refused';
    ELSE
      v_outcome[n] := 'held';
      v_granted[n] := v_gets;
      v_available[v_p] := v_available[v_p] - (v_gets - v_has);
      v_taken[v_p] := v_taken[v_p] + (v_gets - v_has);
      v_left[n] := v_available[v_p];
      v_state[v_s] := 'open'; v_owner[v_s] := v_account[n]; v_after[v_s] := v_gets; v_renewed[v_s] := v_ttl[n];
    END IF;
  END LOOP;

  INSERT INTO reservation (id, account_id, kind, granted, deadline_at)
    SELECT x.r, x.owner, 'request', x.after, now() + make_interval(secs => x.ttl)
      FROM unnest(v_request, v_owner, v_before, v_after, v_renewed) AS x (r, owner, before, after, ttl)
     WHERE x.ttl IS NOT NULL AND x.before IS NULL;
  UPDATE reservation s SET granted = x.after, deadline_at = now() + make_interval(secs => x.ttl)
    FROM unnest(v_request, v_before, v_after, v_renewed) AS x (r, before, after, ttl)
   WHERE s.id = x.r AND x.ttl IS NOT NULL AND x.before IS NOT NULL;
  UPDATE account a SET held = a.held + x.taken
    FROM unnest(v_locked, v_taken) AS x (id, taken) WHERE a.id = x.id AND x.taken > 0;
  RETURN QUERY SELECT * FROM unnest(v_request, v_outcome, v_granted, v_left);
END $$;
COMMENT ON FUNCTION tollgate.hold_batch IS
  'p: [{r: request, a: account, total, least: null = total, ttl: seconds}]; places holds or extends them to total, row by '
  'row in the order given. Outcome: held, refused, settled, unknown_account, or busy (account locked by somebody else)';
REVOKE ALL ON FUNCTION tollgate.hold_batch FROM PUBLIC;
`;

const TOUCH_AND_CLOSE = `
CREATE FUNCTION tollgate.touch_batch(
  p_ids uuid[], p_ttl int, p_lock_timeout_ms int DEFAULT NULL, p_skip_locked boolean DEFAULT false)
RETURNS SETOF uuid LANGUAGE plpgsql SECURITY DEFINER SET search_path = tollgate, pg_temp AS $$
DECLARE
  v_locked uuid[] := lock_accounts(ARRAY(SELECT account_id FROM reservation WHERE id = ANY (p_ids) AND state = 'open'),
                                   p_lock_timeout_ms, p_skip_locked);
BEGIN
  UPDATE reservation SET deadline_at = now() + make_interval(secs => p_ttl)
   WHERE id = ANY (p_ids) AND state = 'open' AND account_id = ANY (v_locked);
  RETURN QUERY SELECT id FROM reservation WHERE id = ANY (p_ids) AND state = 'open';
END $$;
COMMENT ON FUNCTION tollgate.touch_batch IS
  'renews holds, answers those still open. With p_skip_locked a hold of a locked account is open, but not renewed';
REVOKE ALL ON FUNCTION tollgate.touch_batch FROM PUBLIC;

-- Money is never free between close and debit: what the request cost stays set aside until it is settled.
CREATE FUNCTION tollgate.close_batch(p jsonb, p_lock_timeout_ms int DEFAULT NULL, p_skip_locked boolean DEFAULT false)
RETURNS TABLE (request_id uuid, outcome text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = tollgate, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_request uuid[]; v_cost bigint[]; v_locked uuid[];
BEGIN
  SELECT array_agg(r ORDER BY i), array_agg(cost ORDER BY i) INTO v_request, v_cost
    FROM ROWS FROM (jsonb_to_recordset(p) AS (r uuid, cost bigint)) WITH ORDINALITY AS x (r, cost, i);
  IF EXISTS (SELECT FROM unnest(v_cost) AS cost WHERE cost IS NULL OR cost < 0) THEN
    RAISE EXCEPTION 'a hold is closed with its cost, which is not negative' USING ERRCODE = '22003';
  END IF;
  v_locked := lock_accounts(ARRAY(SELECT account_id FROM reservation WHERE id = ANY (v_request) AND state = 'open'),
                            p_lock_timeout_ms, p_skip_locked);
  RETURN QUERY
  WITH x AS (
    SELECT DISTINCT ON (r) r, LEAST(s.granted, cost) AS keeps, s.account_id, s.granted, s.account_id = ANY (v_locked) AS ours
      FROM unnest(v_request, v_cost) WITH ORDINALITY AS x (r, cost, i)
      JOIN reservation s ON s.id = x.r AND s.state = 'open' AND s.kind = 'request' ORDER BY r, i
  ), closed AS (
    UPDATE reservation s SET released = x.granted - x.keeps, state = CASE WHEN x.keeps = 0 THEN 'closed' ELSE 'closing' END
      FROM x WHERE s.id = x.r AND x.ours
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
COMMENT ON FUNCTION tollgate.close_batch IS
  'p: [{r: request, cost}]; an open hold shrinks to its cost and waits for the settling, or is freed if that is 0. '
  'Outcome: closed, not_open, or busy (account locked by somebody else)';
REVOKE ALL ON FUNCTION tollgate.close_batch FROM PUBLIC;
`;

const EXPIRE_HOLDS = `
CREATE FUNCTION tollgate.expire_holds(p_max int) RETURNS TABLE (request_id uuid, account_id uuid, amount bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = tollgate, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_due uuid[]; v_locked uuid[];
BEGIN
  v_due := ARRAY(SELECT id FROM reservation WHERE state = 'open' AND kind = 'request' AND deadline_at < now()
                  ORDER BY deadline_at LIMIT p_max);
  v_locked := lock_accounts(ARRAY(SELECT account_id FROM reservation WHERE id = ANY (v_due)), NULL, true);
  RETURN QUERY
  WITH expired AS (
    UPDATE reservation s SET released = s.granted - s.used, state = 'closed'
     WHERE s.id = ANY (v_due) AND s.account_id = ANY (v_locked) AND s.state = 'open' AND s.deadline_at < now()
    RETURNING s.id, s.account_id, s.released
  ), freed AS (
    UPDATE account a SET held = a.held - f.amount
      FROM (SELECT account_id, sum(released)::bigint AS amount FROM expired GROUP BY account_id) AS f
     WHERE a.id = f.account_id AND f.amount > 0
    RETURNING a.id
  )
  SELECT e.id, e.account_id, e.released FROM expired e;
END $$;
COMMENT ON FUNCTION tollgate.expire_holds IS
  'frees holds that nobody renewed, at most so many; accounts locked by somebody else wait for the next time';
REVOKE ALL ON FUNCTION tollgate.expire_holds FROM PUBLIC;
`;
