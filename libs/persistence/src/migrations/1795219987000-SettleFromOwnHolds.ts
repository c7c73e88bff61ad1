import { SqlMigration } from './sql-migration.js';

/**
 * Settles as before, but never from a hold of another account. A hold that was placed for the same request while the batch waited for
 * its own accounts was taken for the event's: it was closed, and what it held was taken from the wrong account. The batch fails now, and
 * when it comes again the event is quarantined, as it would have been if the hold had come first.
 */
export class SettleFromOwnHolds extends SqlMigration {
  readonly name = 'SettleFromOwnHolds1795219987000';
  protected readonly sql = SETTLE_BATCH;
}

/**
 * In which order events draw on what, and why, is told in AddSweeping. Accounts are locked only when the true records are in, which
 * is half of the work, so batches wait less for each other. No deadlock comes of it: everybody inserts true records in the order
 * of their key, and before locking an account. What depends on an account is read after its lock.
 */
const SETTLE_BATCH = `
CREATE OR REPLACE FUNCTION tollgate.settle_batch(p jsonb)
RETURNS TABLE (request_id uuid, outcome text, reason text, charged bigint, absorbed bigint, reversed bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = tollgate, pg_temp SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
  c_revenue constant uuid := '00000000-0000-0000-0000-000000000001';
  c_absorbed constant uuid := '00000000-0000-0000-0000-000000000002';
  v_events usage_event[] := ARRAY(SELECT e FROM read_usage_events(p,
    uuid_v7_floor(now() - interval '13 months'), uuid_v7_floor(now() + interval '1 day')) AS e ORDER BY e.n);
  v_ids uuid[] := ARRAY(SELECT request_id FROM unnest(v_events) WHERE fault IS NULL);
  v_swept uuid[] := ARRAY(SELECT u.request_id FROM usage_record u WHERE u.swept AND u.request_id = ANY (v_ids));
  v_locked uuid[];
  v_posted bigint[]; v_held bigint[]; v_floor bigint[]; v_seq bigint[]; v_current int[];
  v_escrow uuid[]; v_owner uuid[]; v_room bigint[]; v_used bigint[]; v_taken bigint[]; v_is_current boolean[];
  v_fault text[]; v_fresh uuid[]; v_outcome text[];
  v_drawn bigint[]; v_charged bigint[]; v_absorbed bigint[]; v_account_seq bigint[]; v_after bigint[];
  v_reversed bigint[]; v_reversal_seq bigint[]; v_reversal_after bigint[];
  v_cost bigint; v_free bigint; v_draw bigint;
  e record; a int; c int;
BEGIN
  SELECT array_agg(COALESCE(x.fault, CASE WHEN a.id IS NULL THEN 'unknown_account'
                                          WHEN s.account_id <> x.account_id THEN 'request_of_another_account' END) ORDER BY x.n)
    INTO v_fault
    FROM unnest(v_events) AS x LEFT JOIN account a ON a.id = x.account_id LEFT JOIN reservation s ON s.id = x.request_id;
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

  v_locked := lock_accounts(ARRAY(SELECT account_id FROM unnest(v_events) WHERE v_fault[n] IS NULL), NULL, false);
  v_swept := ARRAY(SELECT u.request_id FROM usage_record u WHERE u.swept AND u.request_id = ANY (v_ids));
  IF cardinality(v_swept) > 0 AND EXISTS (
    SELECT FROM unnest(v_events) AS x JOIN usage_record u ON u.request_id = x.request_id AND u.swept
     WHERE x.request_id = ANY (v_fresh) AND v_fault[x.n] IS NULL AND NOT x.swept AND u.account_id <> x.account_id)
  THEN
    RAISE serialization_failure USING MESSAGE = 'a request was swept from another account meanwhile: settle the batch again';
  END IF;

  IF cardinality(v_fresh) = cardinality(v_events) THEN
    -- As almost always: every event is true and new.
    v_outcome := array_fill('settled'::text, ARRAY[cardinality(v_events)]);
  ELSE
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
  END IF;

  SELECT array_agg(id ORDER BY id), array_agg(account_id ORDER BY id), array_agg(granted - used - released ORDER BY id),
         array_agg(0 ORDER BY id), array_agg(0 ORDER BY id), array_agg(newest = 1 AND shut_at IS NULL ORDER BY id)
    INTO v_escrow, v_owner, v_room, v_used, v_taken, v_is_current
    FROM (SELECT *, row_number() OVER (PARTITION BY account_id
             ORDER BY shut_at IS NULL DESC, state = 'open' DESC, created_at DESC, id DESC) AS newest
            FROM reservation WHERE account_id = ANY (v_locked) AND kind = 'escrow' AND state <> 'closed') AS live;
  SELECT array_agg(posted ORDER BY l.i), array_agg(held ORDER BY l.i), array_agg(floor ORDER BY l.i),
         array_agg(seq ORDER BY l.i)
    INTO v_posted, v_held, v_floor, v_seq FROM unnest(v_locked) WITH ORDINALITY AS l (id, i) JOIN account ON account.id = l.id;
  -- Both lists are in the order of ids: the bucket of one that is in a list is its place there.
  FOR c IN 1 .. COALESCE(cardinality(v_escrow), 0) LOOP
    IF v_is_current[c] THEN v_current[width_bucket(v_owner[c], v_locked)] := c; END IF;
  END LOOP;

  FOR e IN
    SELECT x.n, x.request_id, x.cost, x.swept, width_bucket(x.account_id, v_locked) AS place,
           width_bucket(x.escrow_id, v_escrow) AS named, x.escrow_id, x.account_id, s.id IS NOT NULL AS has_hold,
           CASE WHEN x.request_id = ANY (v_swept) AND NOT x.swept THEN (SELECT amount FROM transfer t
             WHERE t.kind = 'swept' AND t.ref_id = x.request_id) END AS was_swept,
           lag(x.n) OVER (PARTITION BY x.request_id ORDER BY x.n) AS before_n,
           s.account_id AS holder, COALESCE(s.granted - s.used - s.released, 0) AS hold
      FROM unnest(v_events) AS x
      LEFT JOIN reservation s ON s.id = x.request_id AND s.kind = 'request' AND s.state <> 'closed'
     WHERE v_outcome[x.n] = 'settled' ORDER BY place, x.request_id, x.n
  LOOP
    -- Its account is not locked, so the hold may have come since it was looked for.
    IF e.holder <> e.account_id THEN
      RAISE serialization_failure USING MESSAGE = 'a request was held by another account meanwhile: settle the batch again';
    END IF;
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
    IF v_charged[e.n] < v_cost AND v_escrow[e.named] = e.escrow_id AND v_owner[e.named] = e.account_id THEN
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
`;
