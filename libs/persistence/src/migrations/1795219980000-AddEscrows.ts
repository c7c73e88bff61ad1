import { SqlMigration } from './sql-migration.js';

/**
 * Escrows: money set aside for an account, which the holds in Redis may then spend. Postgres grants totals, so asking twice
 * changes nothing, and takes back what the closed pocket says was neither spent nor held; the rest follows two minutes
 * later. All functions lock the account first, as every writer of money does.
 */
export class AddEscrows extends SqlMigration {
  readonly name = 'AddEscrows1795219980000';
  protected readonly sql = `${COLUMNS}${GRANT}${CLOSING}${SHUT}${FINISH}${ADJUST_WITH_SHUT}`;
}

/**
 * `changed_at` is when an escrow was last asked for or drawn on; `shut_at` when its pocket was gone for certain. A closed
 * escrow was shut for two minutes: the longest that a stream runs without its hold, and the journal's check after it.
 */
const COLUMNS = `
ALTER TABLE tollgate.reservation
  ADD COLUMN checkpoint jsonb,
  ADD COLUMN shut_at timestamptz,
  ADD COLUMN changed_at timestamptz NOT NULL DEFAULT now(),
  ADD CONSTRAINT reservation_checkpoint_of_request CHECK (checkpoint IS NULL OR kind = 'request'),
  ADD CONSTRAINT reservation_shut_is_over CHECK (shut_at IS NULL OR (kind = 'escrow' AND state <> 'open')),
  ADD CONSTRAINT reservation_escrow_closes_late CHECK (kind <> 'escrow' OR state <> 'closed'
    OR (shut_at IS NOT NULL AND changed_at - shut_at >= interval '2 minutes'));
CREATE INDEX reservation_idle_escrow_idx ON tollgate.reservation (changed_at) WHERE kind = 'escrow' AND state = 'open';
CREATE INDEX reservation_shut_escrow_idx ON tollgate.reservation (shut_at) WHERE kind = 'escrow' AND state = 'closing';

-- Requests cost and their reversals give back; what is absorbed concerns no customer.
ALTER TABLE tollgate.transfer ADD CONSTRAINT transfer_side_of_kind CHECK (CASE kind
  WHEN 'usage' THEN debit_id = account_id WHEN 'swept' THEN debit_id = account_id
  WHEN 'reversal' THEN credit_id = account_id WHEN 'absorbed' THEN account_id IS NULL ELSE true END);
`;

const GRANT = `
CREATE FUNCTION tollgate.grant_escrow(p_account uuid, p_escrow uuid, p_total bigint)
RETURNS TABLE (outcome text, granted bigint, available bigint, "returning" bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = tollgate, pg_temp AS $$
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
  IF v_account.status <> 'active' THEN
    v_outcome := 'suspended';
  ELSIF v_escrow.state <> 'open' THEN
    v_outcome := 'closing';
  ELSE
    v_more := GREATEST(0, LEAST(p_total - COALESCE(v_escrow.granted, 0), v_account.posted - v_account.held - v_account.floor));
    IF v_escrow.id IS NULL THEN
      UPDATE reservation SET state = 'closing', changed_at = now()
       WHERE account_id = p_account AND kind = 'escrow' AND state = 'open';
      INSERT INTO reservation (id, account_id, kind, granted) VALUES (p_escrow, p_account, 'escrow', v_more);
    ELSE
      UPDATE reservation SET granted = granted + v_more, changed_at = now() WHERE id = p_escrow;
    END IF;
    UPDATE account SET held = held + v_more WHERE id = p_account AND v_more > 0;
  END IF;
  RETURN QUERY SELECT v_outcome, COALESCE(v_escrow.granted, 0) + v_more,
    v_account.posted - v_account.held - v_account.floor - v_more,
    (SELECT COALESCE(sum(granted - used - released), 0)::bigint FROM reservation
      WHERE account_id = p_account AND kind = 'escrow' AND state = 'closing');
END $$;
COMMENT ON FUNCTION tollgate.grant_escrow IS
  'raises what an escrow has to p_total, or as far as the account can; an id not seen before opens one and closes the one '
  'before. Outcome: open, closing (ask for another escrow), suspended, unknown_account. granted: the escrow''s total now; '
  'available: left beside it; returning: what sits in closing escrows of the account';
REVOKE ALL ON FUNCTION tollgate.grant_escrow FROM PUBLIC;
`;

const CLOSING = `
CREATE FUNCTION tollgate.due_escrows(p_max int) RETURNS TABLE (escrow_id uuid, account_id uuid)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = tollgate, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_due uuid[] := ARRAY(SELECT id FROM reservation WHERE kind = 'escrow' AND state = 'open'
    AND (changed_at < now() - interval '5 minutes' OR created_at < now() - interval '1 hour') ORDER BY changed_at LIMIT p_max);
  v_locked uuid[] := lock_accounts(ARRAY(SELECT account_id FROM reservation WHERE id = ANY (v_due)), NULL, true);
BEGIN
  UPDATE reservation SET state = 'closing', changed_at = now()
   WHERE id = ANY (v_due) AND account_id = ANY (v_locked) AND state = 'open'
     AND (changed_at < now() - interval '5 minutes' OR created_at < now() - interval '1 hour');
  RETURN QUERY SELECT id, account_id FROM reservation
    WHERE kind = 'escrow' AND state = 'closing' AND shut_at IS NULL ORDER BY changed_at LIMIT p_max;
END $$;
COMMENT ON FUNCTION tollgate.due_escrows IS
  'sets escrows closing that were idle for 5 min or are an hour old, and answers all whose pockets are still to be shut; '
  'accounts locked by somebody else wait for the next time';
REVOKE ALL ON FUNCTION tollgate.due_escrows FROM PUBLIC;

CREATE FUNCTION tollgate.wanted_escrow(p_account uuid) RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = tollgate, pg_temp AS $$
BEGIN
  PERFORM lock_accounts(ARRAY[p_account], NULL, false);
  UPDATE reservation SET state = 'closing', changed_at = now()
   WHERE account_id = p_account AND kind = 'escrow' AND state = 'open';
  RETURN (SELECT id FROM reservation WHERE account_id = p_account AND kind = 'escrow' AND state = 'closing' AND shut_at IS NULL
           ORDER BY created_at DESC, id DESC LIMIT 1);
END $$;
COMMENT ON FUNCTION tollgate.wanted_escrow IS
  'sets the open escrow of an account closing, and answers the newest whose pocket is still to be shut; null if there is none';
REVOKE ALL ON FUNCTION tollgate.wanted_escrow FROM PUBLIC;
`;

/** Only one call can have an answer of Redis for an escrow, and repeating it frees nothing more. */
const SHUT = `
CREATE FUNCTION tollgate.shut_escrow(p_escrow uuid, p_spent bigint, p_held bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = tollgate, pg_temp AS $$
DECLARE
  v_escrow reservation;
  v_freed bigint := 0;
BEGIN
  IF (p_spent IS NULL) <> (p_held IS NULL) OR p_spent < 0 OR p_held < 0 THEN
    RAISE EXCEPTION 'a pocket has spent and held, which are not negative, or it was gone' USING ERRCODE = '22023';
  END IF;
  PERFORM lock_accounts(ARRAY(SELECT account_id FROM reservation WHERE id = p_escrow AND kind = 'escrow'), NULL, false);
  SELECT * INTO v_escrow FROM reservation WHERE id = p_escrow AND kind = 'escrow';
  IF v_escrow.id IS NULL THEN RETURN NULL; END IF;
  IF v_escrow.state = 'closed' THEN RETURN 0; END IF;
  IF p_spent IS NOT NULL THEN
    v_freed := GREATEST(0, v_escrow.granted - v_escrow.released - GREATEST(p_spent, v_escrow.used) - p_held);
  END IF;
  UPDATE reservation SET state = 'closing', shut_at = COALESCE(shut_at, now()), changed_at = now(),
                         released = released + v_freed WHERE id = p_escrow;
  UPDATE account SET held = held - v_freed WHERE id = v_escrow.account_id AND v_freed > 0;
  RETURN v_freed;
END $$;
COMMENT ON FUNCTION tollgate.shut_escrow IS
  'the pocket takes no more holds: frees what it had neither spent nor held, answers how much; both null if it was gone, '
  'then nothing is freed before finish_escrows. Null for an escrow that nobody ever granted';
REVOKE ALL ON FUNCTION tollgate.shut_escrow FROM PUBLIC;
`;

const FINISH = `
CREATE FUNCTION tollgate.finish_escrows(p_queue_clear_until timestamptz, p_max int)
RETURNS TABLE (escrow_id uuid, account_id uuid, released bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = tollgate, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_shut_before timestamptz := LEAST(now(), p_queue_clear_until) - interval '2 minutes';
  v_due uuid[] := ARRAY(SELECT id FROM reservation WHERE kind = 'escrow' AND state = 'closing' AND shut_at <= v_shut_before
                         ORDER BY shut_at LIMIT p_max);
  v_locked uuid[] := lock_accounts(ARRAY(SELECT account_id FROM reservation WHERE id = ANY (v_due)), NULL, true);
BEGIN
  RETURN QUERY
  WITH due AS (
    SELECT id, granted - used - released AS rest FROM reservation
     WHERE id = ANY (v_due) AND account_id = ANY (v_locked) AND state = 'closing'
  ), finished AS (
    UPDATE reservation s SET released = s.released + due.rest, state = 'closed', changed_at = now()
      FROM due WHERE s.id = due.id
    RETURNING s.id, s.account_id, due.rest
  ), freed AS (
    UPDATE account a SET held = a.held - f.amount
      FROM (SELECT account_id, sum(rest)::bigint AS amount FROM finished GROUP BY account_id) AS f
     WHERE a.id = f.account_id AND f.amount > 0
    RETURNING a.id
  )
  SELECT f.id, f.account_id, f.rest FROM finished f;
END $$;
COMMENT ON FUNCTION tollgate.finish_escrows IS
  'closes escrows that were shut 2 min ago and frees what is left in them, at most so many; p_queue_clear_until: no usage '
  'event that was published before it is still waiting. Locked accounts wait for the next time';
REVOKE ALL ON FUNCTION tollgate.finish_escrows FROM PUBLIC;
`;

/** The account stays locked from the release to the booking, so that no refill comes between them. */
const ADJUST_WITH_SHUT = `
CREATE FUNCTION tollgate.adjust_with_shut(p_kind text, p_ref uuid, p_account uuid, p_amount bigint, p_reference text,
  p_note text, p_escrow uuid, p_spent bigint, p_held bigint)
RETURNS TABLE (outcome text, id bigint, kind text, ref_id uuid, account_id uuid, amount bigint, account_seq bigint,
  balance_after bigint, reference text, note text, created_at timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = tollgate, pg_temp AS $$
#variable_conflict use_column
BEGIN
  IF EXISTS (SELECT FROM reservation WHERE id = p_escrow AND account_id <> p_account) THEN
    RAISE EXCEPTION 'escrow % is of another account', p_escrow USING ERRCODE = '22023';
  END IF;
  PERFORM shut_escrow(p_escrow, p_spent, p_held);
  RETURN QUERY SELECT * FROM adjust(p_kind, p_ref, p_account, p_amount, p_reference, p_note);
END $$;
COMMENT ON FUNCTION tollgate.adjust_with_shut IS
  'shut_escrow and adjust in one: what the pocket gives back can be booked before anybody else has it. The escrow stays shut '
  'whatever the outcome';
REVOKE ALL ON FUNCTION tollgate.adjust_with_shut FROM PUBLIC;
`;
