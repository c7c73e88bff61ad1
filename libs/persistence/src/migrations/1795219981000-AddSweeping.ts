import { SqlMigration } from './sql-migration.js';

/**
 * Requests whose end nobody told are settled at their last checkpoint: *swept*. The true event wins, whenever it comes:
 * what was swept is then reversed in full, and the true cost settled, in one transaction. And settling draws on escrows.
 */
export class AddSweeping extends SqlMigration {
  readonly name = 'AddSweeping1795219981000';
  protected readonly sql = `${READ_EVENTS}${SETTLE_BATCH}${TOUCH_AND_EXPIRE}${KNOWN_REQUESTS}${LEDGER_VIOLATION}`;
}

const READ_EVENTS = `
ALTER TYPE tollgate.usage_event ADD ATTRIBUTE escrow_id uuid, ADD ATTRIBUTE swept boolean;

CREATE OR REPLACE FUNCTION tollgate.read_usage_events(p jsonb, p_from uuid, p_to uuid) RETURNS SETOF tollgate.usage_event
LANGUAGE sql STABLE SET search_path = tollgate, pg_temp AS $$
  SELECT e.n::int, f.fault, decode(x."bodyHash", 'hex'), x."requestId", x."accountId", x."apiKeyId", x."deploymentId",
         x."priceId", x.model, x."upstreamModel", x.units, x.billable, x."usageSource", x.outcome, x."finishedAt",
         CASE WHEN f.fault IS NULL THEN x."costNano"::bigint END,
         CASE WHEN f.fault IS NULL THEN x."multiplierPpm"::int END, CASE WHEN f.fault IS NULL THEN x.attempts::int END,
         CASE WHEN f.fault IS NULL THEN x."firstByteMs"::int END, CASE WHEN f.fault IS NULL THEN x."totalMs"::int END,
         x."escrowId", COALESCE(x.swept, false)
    FROM jsonb_array_elements(p) WITH ORDINALITY AS e (body, n)
   CROSS JOIN LATERAL jsonb_to_record(e.body) AS x ("bodyHash" text, "requestId" uuid, "accountId" uuid, "apiKeyId" uuid,
     "deploymentId" uuid, "priceId" uuid, model text, "upstreamModel" text, units jsonb, billable boolean,
     "usageSource" text, outcome text, "finishedAt" timestamptz, "costNano" numeric, "multiplierPpm" numeric,
     attempts numeric, "firstByteMs" numeric, "totalMs" numeric, "escrowId" uuid, swept boolean)
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
 * Draws on what was reversed and on the request's own hold, which ends; then on the escrow that the event names, on what is
 * available, and on the account's current escrow, which then closes; the rest is absorbed. A swept event has no rest: it
 * costs what it drew, at most its hold. An account's events are taken in the order of their ids, those of one request in
 * the order given, each release before the next draw, so that a batch settles like its events one by one.
 *
 * What is drawn on the current escrow counts as released and not as used: its pocket does not know of it, and says in the
 * end what it spent itself. The current escrow is the newest that is not shut, so several late events find the same one.
 *
 * The loop only reckons. A true record is the gate for its money and comes before the loop, a swept one says what it cost
 * and comes after it; the account's lock is what keeps two of those apart. Rows of a unique key are inserted in the order
 * of the key, because that lock does not protect against the same key under another account.
 */
const SETTLE_BATCH = `
DROP FUNCTION tollgate.settle_batch(jsonb);
CREATE FUNCTION tollgate.settle_batch(p jsonb)
RETURNS TABLE (request_id uuid, outcome text, reason text, charged bigint, absorbed bigint, reversed bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = tollgate, pg_temp AS $$
#variable_conflict use_column
DECLARE
  c_revenue constant uuid := '00000000-0000-0000-0000-000000000001';
  c_absorbed constant uuid := '00000000-0000-0000-0000-000000000002';
  v_events usage_event[] := ARRAY(SELECT e FROM read_usage_events(p,
    uuid_v7_floor(now() - interval '13 months'), uuid_v7_floor(now() + interval '1 day')) AS e ORDER BY e.n);
  v_locked uuid[] := lock_accounts(ARRAY(SELECT account_id FROM unnest(v_events) WHERE fault IS NULL), NULL, false);
  v_swept uuid[] := ARRAY(SELECT u.request_id FROM usage_record u
    WHERE u.swept AND u.request_id = ANY (ARRAY(SELECT request_id FROM unnest(v_events) WHERE fault IS NULL)));
  v_posted bigint[]; v_held bigint[]; v_floor bigint[]; v_seq bigint[]; v_current int[];
  v_escrow uuid[]; v_owner uuid[]; v_room bigint[]; v_used bigint[]; v_taken bigint[]; v_is_current boolean[];
  v_fault text[]; v_fresh uuid[]; v_outcome text[];
  v_drawn bigint[]; v_charged bigint[]; v_absorbed bigint[]; v_account_seq bigint[]; v_after bigint[];
  v_reversed bigint[]; v_reversal_seq bigint[]; v_reversal_after bigint[];
  v_cost bigint; v_free bigint; v_draw bigint; v_last_swept int;
  e record; a int; c int;
BEGIN
  SELECT array_agg(COALESCE(x.fault, CASE WHEN l.id IS NULL THEN 'unknown_account'
                                          WHEN s.account_id <> x.account_id THEN 'request_of_another_account' END) ORDER BY x.n)
    INTO v_fault
    FROM unnest(v_events) AS x LEFT JOIN unnest(v_locked) AS l (id) ON l.id = x.account_id
    LEFT JOIN reservation s ON s.id = x.request_id;
  -- What was swept from one account is never settled on another one.
  IF cardinality(v_swept) > 0 OR EXISTS (SELECT FROM unnest(v_events) AS x WHERE x.swept) THEN
    SELECT array_agg(COALESCE(fault, CASE WHEN NOT swept AND swept_from <> account_id AND NOT EXISTS (
             SELECT FROM usage_record t WHERE t.request_id = y.request_id AND NOT t.swept)
             THEN 'request_of_another_account' END) ORDER BY n)
      INTO v_fault
      FROM (SELECT x.n, x.request_id, x.account_id, x.swept, v_fault[x.n] AS fault,
                   COALESCE(u.account_id, (SELECT CASE WHEN z.swept THEN z.account_id END FROM unnest(v_events) AS z
                     WHERE z.request_id = x.request_id AND v_fault[z.n] IS NULL ORDER BY z.n LIMIT 1)) AS swept_from
              FROM unnest(v_events) AS x LEFT JOIN usage_record u ON u.request_id = x.request_id AND u.swept) AS y;
  END IF;

  WITH inserted AS (
    INSERT INTO usage_record (request_id, account_id, api_key_id, model, upstream_model, deployment_id, price_id,
        multiplier_ppm, units, billable, usage_source, outcome, cost, attempts, first_byte_ms, total_ms, finished_at, body_hash)
      SELECT request_id, account_id, api_key_id, model, upstream_model, deployment_id, price_id, multiplier_ppm, units,
             billable, usage_source, outcome, cost, attempts, first_byte_ms, total_ms, finished_at, body_hash
        FROM unnest(v_events) WHERE v_fault[n] IS NULL AND NOT swept ORDER BY request_id, n
      ON CONFLICT (request_id, swept) DO NOTHING RETURNING request_id)
  SELECT COALESCE(array_agg(request_id), '{}') INTO v_fresh FROM inserted;

  -- Of the same id twice in one batch the first was inserted; the other is known, or has other content. What is to be
  -- swept is known as soon as anything is.
  SELECT array_agg(CASE WHEN fault IS NOT NULL THEN 'quarantined'
                        WHEN swept THEN CASE WHEN first_n = n AND NOT was_swept AND (is_fresh OR same IS NULL)
                                             THEN 'settled' ELSE 'known' END
                        WHEN is_fresh AND first_true_n = n THEN 'settled'
                        WHEN same THEN 'known' ELSE 'quarantined' END ORDER BY n),
         array_agg(COALESCE(fault, CASE WHEN NOT swept AND NOT same THEN 'other_content' END) ORDER BY n)
    INTO v_outcome, v_fault
    FROM (SELECT x.n, x.swept, v_fault[x.n] AS fault, x.request_id = ANY (v_fresh) AS is_fresh,
                 x.request_id = ANY (v_swept) AS was_swept, u.body_hash = x.body_hash AS same,
                 min(x.n) FILTER (WHERE v_fault[x.n] IS NULL) OVER w AS first_n,
                 min(x.n) FILTER (WHERE v_fault[x.n] IS NULL AND NOT x.swept) OVER w AS first_true_n
            FROM unnest(v_events) AS x LEFT JOIN usage_record u ON u.request_id = x.request_id AND NOT u.swept
          WINDOW w AS (PARTITION BY x.request_id)) AS y;

  SELECT array_agg(id ORDER BY id), array_agg(account_id ORDER BY id), array_agg(granted - used - released ORDER BY id),
         array_agg(0 ORDER BY id), array_agg(0 ORDER BY id), array_agg(newest = 1 AND shut_at IS NULL ORDER BY id)
    INTO v_escrow, v_owner, v_room, v_used, v_taken, v_is_current
    FROM (SELECT *, row_number() OVER (PARTITION BY account_id
             ORDER BY shut_at IS NULL DESC, state = 'open' DESC, created_at DESC, id DESC) AS newest
            FROM reservation WHERE account_id = ANY (v_locked) AND kind = 'escrow' AND state <> 'closed') AS live;
  SELECT array_agg(posted ORDER BY l.i), array_agg(held ORDER BY l.i), array_agg(floor ORDER BY l.i),
         array_agg(seq ORDER BY l.i), array_agg(c.i ORDER BY l.i)
    INTO v_posted, v_held, v_floor, v_seq, v_current
    FROM unnest(v_locked) WITH ORDINALITY AS l (id, i) JOIN account ON account.id = l.id
    LEFT JOIN unnest(v_owner, v_is_current) WITH ORDINALITY AS c (owner, is_current, i) ON c.owner = l.id AND c.is_current;

  FOR e IN
    SELECT x.n, x.request_id, x.cost, x.swept, l.i AS place, named.i AS named, s.id IS NOT NULL AS has_hold,
           CASE WHEN x.request_id = ANY (v_swept) AND NOT x.swept THEN (SELECT amount FROM transfer t
             WHERE t.kind = 'swept' AND t.ref_id = x.request_id) END AS was_swept,
           lag(x.n) OVER (PARTITION BY x.request_id ORDER BY x.n) AS before_n,
           COALESCE(s.granted - s.used - s.released, 0) AS hold
      FROM unnest(v_events) AS x JOIN unnest(v_locked) WITH ORDINALITY AS l (id, i) ON l.id = x.account_id
      LEFT JOIN reservation s ON s.id = x.request_id AND s.kind = 'request' AND s.state <> 'closed'
      LEFT JOIN unnest(v_escrow, v_owner) WITH ORDINALITY AS named (id, owner, i)
        ON named.id = x.escrow_id AND named.owner = x.account_id
     WHERE v_outcome[x.n] = 'settled' ORDER BY l.i, x.request_id, x.n
  LOOP
    a := e.place;
    v_cost := e.cost;
    v_reversed[e.n] := COALESCE(e.was_swept, v_charged[e.before_n], 0);
    IF v_reversed[e.n] > 0 THEN
      v_posted[a] := v_posted[a] + v_reversed[e.n];
      v_seq[a] := v_seq[a] + 1;
      v_reversal_seq[e.n] := v_seq[a];
      v_reversal_after[e.n] := v_posted[a];
    END IF;
    v_free := v_reversed[e.n];
    -- The hold of a request that is in the batch twice has ended with the first.
    IF e.has_hold AND e.before_n IS NULL THEN
      v_drawn[e.n] := LEAST(v_cost, e.hold);
      v_held[a] := v_held[a] - e.hold;
      v_free := v_free + e.hold;
      IF e.swept THEN v_cost := v_drawn[e.n]; END IF;
    END IF;
    v_charged[e.n] := LEAST(v_cost, v_free);
    IF v_charged[e.n] < v_cost AND e.named IS NOT NULL THEN
      v_draw := LEAST(v_cost - v_charged[e.n], v_room[e.named]);
      v_room[e.named] := v_room[e.named] - v_draw;
      v_used[e.named] := v_used[e.named] + v_draw;
      v_held[a] := v_held[a] - v_draw;
      v_charged[e.n] := v_charged[e.n] + v_draw;
    END IF;
    IF v_charged[e.n] < v_cost THEN
      v_charged[e.n] := LEAST(v_cost, v_charged[e.n] + GREATEST(0, v_posted[a] - v_charged[e.n] - v_held[a] - v_floor[a]));
    END IF;
    c := v_current[a];
    IF v_charged[e.n] < v_cost AND c IS NOT NULL AND v_room[c] > 0 THEN
      v_draw := LEAST(v_cost - v_charged[e.n], v_room[c]);
      v_room[c] := v_room[c] - v_draw;
      v_taken[c] := v_taken[c] + v_draw;
      v_held[a] := v_held[a] - v_draw;
      v_charged[e.n] := v_charged[e.n] + v_draw;
    END IF;
    v_absorbed[e.n] := CASE WHEN e.swept THEN 0 ELSE v_cost - v_charged[e.n] END;
    v_posted[a] := v_posted[a] - v_charged[e.n];
    IF v_charged[e.n] > 0 THEN
      v_seq[a] := v_seq[a] + 1;
      v_account_seq[e.n] := v_seq[a];
      v_after[e.n] := v_posted[a];
    END IF;
  END LOOP;

  INSERT INTO usage_record (request_id, swept, account_id, api_key_id, model, upstream_model, deployment_id, price_id,
      multiplier_ppm, units, billable, usage_source, outcome, cost, attempts, first_byte_ms, total_ms, finished_at, body_hash)
    SELECT request_id, true, account_id, api_key_id, model, upstream_model, deployment_id, price_id, multiplier_ppm, units,
           billable, usage_source, outcome, v_charged[n], attempts, first_byte_ms, total_ms, finished_at, body_hash
      FROM unnest(v_events) WHERE swept AND v_outcome[n] = 'settled' ORDER BY request_id;
  INSERT INTO transfer (kind, ref_id, debit_id, credit_id, amount, account_id, account_seq, balance_after)
    SELECT kind, request_id, debit_id, credit_id, amount, account_id, account_seq, balance_after
      FROM (SELECT CASE WHEN x.swept THEN 'swept' ELSE 'usage' END AS kind, x.request_id, x.account_id AS debit_id,
                   c_revenue AS credit_id, v_charged[x.n] AS amount, x.account_id, v_account_seq[x.n] AS account_seq,
                   v_after[x.n] AS balance_after FROM unnest(v_events) AS x
            UNION ALL
            SELECT 'reversal', x.request_id, c_revenue, x.account_id, v_reversed[x.n], x.account_id, v_reversal_seq[x.n],
                   v_reversal_after[x.n] FROM unnest(v_events) AS x) AS y
     WHERE amount > 0 ORDER BY account_id, account_seq;
  INSERT INTO transfer (kind, ref_id, debit_id, credit_id, amount)
    SELECT 'absorbed', x.request_id, c_absorbed, c_revenue, v_absorbed[x.n]
      FROM unnest(v_events) AS x WHERE v_absorbed[x.n] > 0 ORDER BY x.n;
  UPDATE reservation s SET used = s.used + v_drawn[x.n], released = s.granted - s.used - v_drawn[x.n], state = 'closed'
    FROM unnest(v_events) AS x
   WHERE v_drawn[x.n] IS NOT NULL AND s.id = x.request_id AND s.kind = 'request' AND s.state <> 'closed';
  UPDATE reservation s SET used = s.used + d.used, released = s.released + d.taken,
         state = CASE WHEN d.taken > 0 THEN 'closing' ELSE s.state END,
         -- Exact to the minute: the column is indexed.
         changed_at = CASE WHEN s.changed_at < now() - interval '1 minute' THEN now() ELSE s.changed_at END
    FROM unnest(v_escrow, v_used, v_taken) AS d (id, used, taken) WHERE s.id = d.id AND d.used + d.taken > 0;
  UPDATE account SET posted = l.posted, held = l.held, seq = l.seq
    FROM unnest(v_locked, v_posted, v_held, v_seq) AS l (id, posted, held, seq)
   WHERE account.id = l.id AND (account.posted, account.held, account.seq) <> (l.posted, l.held, l.seq);
  INSERT INTO quarantine (request_id, body_hash, reason, body)
    SELECT x.request_id, x.body_hash, v_fault[x.n], (p -> x.n - 1) - 'bodyHash' FROM unnest(v_events) AS x
     WHERE v_outcome[x.n] = 'quarantined' ORDER BY x.request_id, x.body_hash ON CONFLICT DO NOTHING;
  RETURN QUERY SELECT x.request_id, v_outcome[x.n], CASE WHEN v_outcome[x.n] = 'quarantined' THEN v_fault[x.n] END,
      COALESCE(v_charged[x.n], 0), COALESCE(v_absorbed[x.n], 0), COALESCE(v_reversed[x.n], 0)
    FROM unnest(v_events) AS x ORDER BY x.n;
END $$;
COMMENT ON FUNCTION tollgate.settle_batch IS
  'p: usage events, each with its bodyHash in hexadecimal, and if it is so with escrowId and swept; answers in their order. '
  'Outcome: settled, known (nothing moved), or quarantined, with the reason. reversed: what had been swept before';
REVOKE ALL ON FUNCTION tollgate.settle_batch FROM PUBLIC;
`;

/** A hold with a checkpoint is lent to whoever asked for a minute: if it is not swept by then, somebody else gets it. */
const TOUCH_AND_EXPIRE = `
DROP FUNCTION tollgate.touch_batch(uuid[], int, int, boolean);
CREATE FUNCTION tollgate.touch_batch(p_ids uuid[], p_ttl int, p_lock_timeout_ms int DEFAULT NULL,
  p_skip_locked boolean DEFAULT false, p_checkpoints jsonb DEFAULT NULL)
RETURNS SETOF uuid LANGUAGE plpgsql SECURITY DEFINER SET search_path = tollgate, pg_temp AS $$
DECLARE
  v_locked uuid[] := lock_accounts(ARRAY(SELECT account_id FROM reservation WHERE id = ANY (p_ids) AND state = 'open'),
                                   p_lock_timeout_ms, p_skip_locked);
BEGIN
  UPDATE reservation s SET deadline_at = now() + make_interval(secs => p_ttl), checkpoint = COALESCE(c.body, s.checkpoint)
    FROM unnest(p_ids) AS x (id)
    LEFT JOIN (SELECT (body ->> 'requestId')::uuid AS id, body FROM jsonb_array_elements(p_checkpoints) AS body) AS c
      ON c.id = x.id
   WHERE s.id = x.id AND s.kind = 'request' AND s.state = 'open' AND s.account_id = ANY (v_locked);
  RETURN QUERY SELECT id FROM reservation WHERE id = ANY (p_ids) AND kind = 'request' AND state = 'open';
END $$;
COMMENT ON FUNCTION tollgate.touch_batch IS
  'renews holds, answers those still open. p_checkpoints: usage events as they would be if their requests ended now, kept '
  'until the next. With p_skip_locked a hold of a locked account is open, but not renewed';
REVOKE ALL ON FUNCTION tollgate.touch_batch FROM PUBLIC;

DROP FUNCTION tollgate.expire_holds(int);
CREATE FUNCTION tollgate.expire_holds(p_max int, p_queue_clear_until timestamptz DEFAULT NULL)
RETURNS TABLE (request_id uuid, account_id uuid, amount bigint, checkpoint jsonb)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = tollgate, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_due_before timestamptz := LEAST(now(), p_queue_clear_until);
  v_due uuid[]; v_locked uuid[];
BEGIN
  v_due := ARRAY(SELECT id FROM reservation WHERE state = 'open' AND kind = 'request' AND deadline_at < v_due_before
                  ORDER BY deadline_at LIMIT p_max);
  v_locked := lock_accounts(ARRAY(SELECT account_id FROM reservation WHERE id = ANY (v_due)), NULL, true);
  RETURN QUERY
  WITH expired AS (
    UPDATE reservation s SET
        released = CASE WHEN s.checkpoint IS NULL THEN s.granted - s.used ELSE s.released END,
        state = CASE WHEN s.checkpoint IS NULL THEN 'closed' ELSE s.state END,
        deadline_at = CASE WHEN s.checkpoint IS NULL THEN s.deadline_at ELSE now() + interval '1 minute' END
     WHERE s.id = ANY (v_due) AND s.account_id = ANY (v_locked) AND s.state = 'open' AND s.deadline_at < v_due_before
    RETURNING s.id, s.account_id, s.granted - s.used AS amount, s.checkpoint
  ), freed AS (
    UPDATE account a SET held = a.held - f.amount
      FROM (SELECT account_id, sum(amount)::bigint AS amount FROM expired WHERE checkpoint IS NULL GROUP BY account_id) AS f
     WHERE a.id = f.account_id AND f.amount > 0
    RETURNING a.id
  )
  SELECT e.id, e.account_id, e.amount, e.checkpoint FROM expired e;
END $$;
COMMENT ON FUNCTION tollgate.expire_holds IS
  'frees holds that nobody renewed, at most so many; one with a checkpoint stays open and is answered with it, to be settled '
  'as swept, and again after a minute if it was not. p_queue_clear_until: no usage event that was published before it is '
  'still waiting. Accounts locked by somebody else wait for the next time';
REVOKE ALL ON FUNCTION tollgate.expire_holds FROM PUBLIC;
`;

const KNOWN_REQUESTS = `
CREATE FUNCTION tollgate.known_requests(p_ids uuid[]) RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = tollgate, pg_temp AS $$
  SELECT request_id FROM usage_record WHERE request_id = ANY (p_ids) AND NOT swept
  UNION
  SELECT request_id FROM quarantine WHERE request_id = ANY (p_ids) AND body -> 'swept' IS DISTINCT FROM 'true'
$$;
COMMENT ON FUNCTION tollgate.known_requests IS
  'which of the requests have their true usage in the books or in quarantine: their events need not be kept';
REVOKE ALL ON FUNCTION tollgate.known_requests FROM PUBLIC;
`;

const LEDGER_VIOLATION = `
CREATE OR REPLACE VIEW tollgate.ledger_violation AS
WITH side AS (
  SELECT credit_id AS id, amount FROM tollgate.transfer UNION ALL SELECT debit_id, -amount FROM tollgate.transfer
), booked AS (
  SELECT id, sum(amount) AS amount FROM side GROUP BY id
), numbered AS (
  SELECT account_id, account_seq, balance_after, row_number() OVER in_order AS expected_seq,
         sum(CASE WHEN credit_id = account_id THEN amount ELSE -amount END) OVER in_order AS expected_balance
    FROM tollgate.transfer WHERE account_id IS NOT NULL
  WINDOW in_order AS (PARTITION BY account_id ORDER BY account_seq)
), live AS (
  SELECT account_id, sum(granted - used - released) AS amount FROM tollgate.reservation WHERE state <> 'closed' GROUP BY account_id
), settled AS (
  SELECT ref_id, kind = 'swept' AS swept, sum(amount) AS amount FROM tollgate.transfer
   WHERE kind IN ('usage', 'absorbed', 'swept') GROUP BY ref_id, kind = 'swept'
), guessed AS (
  SELECT s.request_id, s.cost, t.request_id IS NOT NULL AS has_truth FROM tollgate.usage_record s
    LEFT JOIN tollgate.usage_record t ON t.request_id = s.request_id AND NOT t.swept WHERE s.swept
)
SELECT 'posted_is_sum_of_transfers' AS invariant, a.id::text AS ref, format('posted %s, transfers %s', a.posted, b.amount) AS detail
  FROM tollgate.account a LEFT JOIN booked b ON b.id = a.id WHERE a.posted <> COALESCE(b.amount, 0)
UNION ALL
SELECT 'held_is_sum_of_open_remainders', a.id::text, format('held %s, remainders %s', a.held, l.amount)
  FROM tollgate.account a LEFT JOIN live l ON l.account_id = a.id WHERE a.held <> COALESCE(l.amount, 0)
UNION ALL
SELECT 'never_below_floor', id::text, format('posted %s, held %s, floor %s', posted, held, floor)
  FROM tollgate.account WHERE posted - held < floor
UNION ALL
SELECT 'account_seq_has_no_gap', account_id::text, format('number %s where %s is due', account_seq, expected_seq)
  FROM numbered WHERE account_seq <> expected_seq
UNION ALL
SELECT 'account_seq_has_no_gap', a.id::text, format('seq %s of %s transfers', a.seq, t.count)
  FROM tollgate.account a LEFT JOIN (SELECT account_id, count(*) FROM numbered GROUP BY account_id) t ON t.account_id = a.id
 WHERE a.seq <> COALESCE(t.count, 0)
UNION ALL
SELECT 'balance_after_is_running_sum', account_id::text, format('number %s says %s, sum is %s', account_seq, balance_after, expected_balance)
  FROM numbered WHERE balance_after <> expected_balance
UNION ALL
SELECT 'cost_is_charged_and_absorbed', u.request_id::text, format('cost %s, transfers %s', u.cost, s.amount)
  FROM tollgate.usage_record u LEFT JOIN settled s ON s.ref_id = u.request_id AND s.swept = u.swept
 WHERE u.cost <> COALESCE(s.amount, 0)
UNION ALL
SELECT 'no_usage_transfer_without_record', s.ref_id::text, format('transfers of %s', s.amount)
  FROM settled s LEFT JOIN tollgate.usage_record u ON u.request_id = s.ref_id AND u.swept = s.swept WHERE u.request_id IS NULL
UNION ALL
SELECT 'usage_is_paid_by_its_account', u.request_id::text, format('record of %s, transfer of %s', u.account_id, t.account_id)
  FROM tollgate.usage_record u JOIN tollgate.transfer t ON t.ref_id = u.request_id AND t.kind IN ('usage', 'swept', 'reversal')
 WHERE t.account_id <> u.account_id
UNION ALL
SELECT 'reservation_within_grant', id::text, format('granted %s, used %s, released %s, %s', granted, used, released, state)
  FROM tollgate.reservation WHERE used + released > granted OR (state = 'closed' AND used + released <> granted)
UNION ALL
SELECT 'swept_is_reversed_if_true_usage_came', COALESCE(g.request_id, r.ref_id)::text,
       format('swept %s, %s, reversed %s', g.cost, CASE WHEN g.has_truth THEN 'true usage came' ELSE 'nothing else' END, r.amount)
  FROM guessed g FULL JOIN (SELECT ref_id, amount FROM tollgate.transfer WHERE kind = 'reversal') r ON r.ref_id = g.request_id
 WHERE COALESCE(r.amount, 0) <> CASE WHEN g.has_truth THEN g.cost ELSE 0 END;
`;
