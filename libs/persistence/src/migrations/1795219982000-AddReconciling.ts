import { SqlMigration } from './sql-migration.js';

/**
 * Books that are checked as they change: what is wrong with an account is found within a minute, and stops new escrow for it
 * until an operator has looked. And what is over goes: closed reservations after a week.
 */
export class AddReconciling extends SqlMigration {
  readonly name = 'AddReconciling1795219982000';
  protected readonly sql = `${TABLES}${FINDINGS}${CHECK_ACCOUNTS}${GRANT}${RETURN_ESCROWS}${PURGE}${NOTE_CREDIT}`;
}

/**
 * `account_check` says up to which transfer the books of an account were found right, so that a long history is summed once.
 * `ledger_pass` has one row: what changed before `changed_since` was looked at by the last pass that ended.
 */
const TABLES = `
DROP INDEX tollgate.reservation_live_escrow_idx;
CREATE INDEX reservation_live_idx ON tollgate.reservation (account_id, kind) WHERE state <> 'closed';

CREATE TABLE tollgate.account_check (
  account_id uuid CONSTRAINT account_check_pkey PRIMARY KEY
    CONSTRAINT account_check_account_id_fkey REFERENCES tollgate.account (id),
  seq bigint NOT NULL,
  balance bigint NOT NULL,
  CONSTRAINT account_check_seq_not_negative CHECK (seq >= 0),
  CONSTRAINT account_check_begins_empty CHECK (seq > 0 OR balance = 0)
);

CREATE TABLE tollgate.ledger_pass (
  single boolean NOT NULL DEFAULT true CONSTRAINT ledger_pass_pkey PRIMARY KEY,
  changed_since xid8,
  begun_at timestamptz,
  ended_at timestamptz,
  CONSTRAINT ledger_pass_one_row CHECK (single)
);
INSERT INTO tollgate.ledger_pass DEFAULT VALUES;

-- An account with an open row gets no new escrow. Rows are kept; an operator closes them.
CREATE TABLE tollgate.escrow_stop (
  id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT escrow_stop_pkey PRIMARY KEY,
  account_id uuid NOT NULL CONSTRAINT escrow_stop_account_id_fkey REFERENCES tollgate.account (id),
  violations jsonb NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  cleared_at timestamptz,
  note text,
  CONSTRAINT escrow_stop_says_why CHECK (jsonb_typeof(violations) = 'array' AND violations <> '[]'),
  CONSTRAINT escrow_stop_cleared_with_note CHECK ((cleared_at IS NULL) = (note IS NULL))
);
CREATE UNIQUE INDEX escrow_stop_one_open ON tollgate.escrow_stop (account_id) WHERE cleared_at IS NULL;
CREATE INDEX escrow_stop_account_idx ON tollgate.escrow_stop (account_id, id);
`;

/**
 * The invariants of ledger_violation, of some accounts, from where each was found right. One statement, so that all of it is
 * seen as of one moment. Records that moved nothing at all are looked for among those of the last minutes.
 */
const FINDINGS = `
CREATE TYPE tollgate.account_finding AS (account_id uuid, seq bigint, balance bigint, violations jsonb);

CREATE FUNCTION tollgate.account_findings(p_accounts uuid[]) RETURNS SETOF tollgate.account_finding
LANGUAGE sql STABLE SET search_path = tollgate, pg_temp AS $$
WITH asked AS (
  SELECT a.id, a.posted, a.held, a.floor, a.seq, COALESCE(c.seq, 0) AS from_seq, COALESCE(c.balance, 0) AS from_balance
    FROM account a LEFT JOIN account_check c ON c.account_id = a.id WHERE a.id = ANY (p_accounts)
), line AS MATERIALIZED (
  SELECT t.account_id, t.account_seq, t.kind, t.ref_id, t.balance_after,
         k.from_seq + row_number() OVER in_order AS due_seq,
         k.from_balance + sum(CASE WHEN t.credit_id = t.account_id THEN t.amount ELSE -t.amount END) OVER in_order AS due_balance
    FROM asked k JOIN transfer t ON t.account_id = k.id AND t.account_seq > k.from_seq
  WINDOW in_order AS (PARTITION BY t.account_id ORDER BY t.account_seq)
), summed AS (
  SELECT account_id, max(due_seq) AS seq, (array_agg(due_balance ORDER BY account_seq DESC))[1] AS balance
    FROM line GROUP BY account_id
), live AS (
  SELECT account_id, sum(granted - used - released) AS amount FROM reservation
   WHERE account_id = ANY (p_accounts) AND state <> 'closed' GROUP BY account_id
), request AS MATERIALIZED (
  SELECT account_id, ref_id FROM line WHERE kind IN ('usage', 'swept', 'reversal')
  UNION
  SELECT account_id, request_id FROM usage_record
   WHERE account_id = ANY (p_accounts) AND request_id >= uuid_v7_floor(now() - interval '3 minutes')
), booked AS MATERIALIZED (
  SELECT r.account_id, r.ref_id,
         sum(t.amount) FILTER (WHERE t.kind IN ('usage', 'absorbed')) AS truly,
         sum(t.amount) FILTER (WHERE t.kind = 'swept') AS swept,
         sum(t.amount) FILTER (WHERE t.kind = 'reversal') AS reversed,
         bool_or(t.account_id <> r.account_id) AS is_foreign
    FROM request r LEFT JOIN transfer t ON t.ref_id = r.ref_id AND t.kind IN ('usage', 'absorbed', 'swept', 'reversal')
   GROUP BY r.account_id, r.ref_id
), settled AS (
  SELECT b.*, u.request_id IS NOT NULL AS has_truth, u.cost AS true_cost, u.account_id AS true_account,
         s.request_id IS NOT NULL AS has_guess, s.cost AS guessed_cost, s.account_id AS guessed_account
    FROM booked b LEFT JOIN usage_record u ON u.request_id = b.ref_id AND NOT u.swept
    LEFT JOIN usage_record s ON s.request_id = b.ref_id AND s.swept
), violation AS (
  SELECT k.id AS account_id, 'posted_is_sum_of_transfers' AS invariant, k.id AS ref,
         format('posted %s, transfers %s', k.posted, COALESCE(s.balance, k.from_balance)) AS detail
    FROM asked k LEFT JOIN summed s ON s.account_id = k.id WHERE k.posted <> COALESCE(s.balance, k.from_balance)
  UNION ALL
  SELECT k.id, 'held_is_sum_of_open_remainders', k.id, format('held %s, remainders %s', k.held, l.amount)
    FROM asked k LEFT JOIN live l ON l.account_id = k.id WHERE k.held <> COALESCE(l.amount, 0)
  UNION ALL
  SELECT id, 'never_below_floor', id, format('posted %s, held %s, floor %s', posted, held, floor)
    FROM asked WHERE posted - held < floor
  UNION ALL
  SELECT k.id, 'account_seq_has_no_gap', k.id, format('seq %s of %s transfers', k.seq, COALESCE(s.seq, k.from_seq))
    FROM asked k LEFT JOIN summed s ON s.account_id = k.id WHERE k.seq <> COALESCE(s.seq, k.from_seq)
  UNION ALL
  SELECT account_id, 'account_seq_has_no_gap', ref_id, format('number %s where %s is due', account_seq, due_seq)
    FROM line WHERE account_seq <> due_seq
  UNION ALL
  SELECT account_id, 'balance_after_is_running_sum', ref_id,
         format('number %s says %s, sum is %s', account_seq, balance_after, due_balance)
    FROM line WHERE balance_after <> due_balance
  UNION ALL
  SELECT k.id, 'balance_after_is_running_sum', k.id,
         format('number %s says %s, it was %s', k.from_seq, t.balance_after, k.from_balance)
    FROM asked k LEFT JOIN transfer t ON t.account_id = k.id AND t.account_seq = k.from_seq
   WHERE k.from_seq > 0 AND t.balance_after IS DISTINCT FROM k.from_balance
  UNION ALL
  SELECT account_id, 'cost_is_charged_and_absorbed', ref_id,
         format('cost %s, transfers %s; swept %s, transfers %s', true_cost, truly, guessed_cost, swept)
    FROM settled WHERE (has_truth AND true_cost <> COALESCE(truly, 0)) OR (has_guess AND guessed_cost <> COALESCE(swept, 0))
  UNION ALL
  SELECT account_id, 'no_usage_transfer_without_record', ref_id, format('transfers of %s, swept %s', truly, swept)
    FROM settled WHERE (truly > 0 AND NOT has_truth) OR (swept > 0 AND NOT has_guess)
  UNION ALL
  SELECT account_id, 'usage_is_paid_by_its_account', ref_id, format('records of %s and %s', true_account, guessed_account)
    FROM settled WHERE is_foreign OR true_account <> account_id OR guessed_account <> account_id
  UNION ALL
  SELECT account_id, 'swept_is_reversed_if_true_usage_came', ref_id, format('swept %s, reversed %s', guessed_cost, reversed)
    FROM settled WHERE COALESCE(reversed, 0) <> CASE WHEN has_truth AND has_guess THEN guessed_cost ELSE 0 END
  UNION ALL
  SELECT account_id, 'reservation_within_grant', id, format('granted %s, used %s, released %s, %s', granted, used, released, state)
    FROM reservation WHERE account_id = ANY (p_accounts) AND state <> 'closed' AND used + released > granted
), told AS (
  SELECT account_id, jsonb_agg(jsonb_build_object('invariant', invariant, 'ref', ref, 'detail', detail)
           ORDER BY invariant, ref) AS violations
    FROM (SELECT *, row_number() OVER (PARTITION BY account_id ORDER BY invariant, ref) AS place FROM violation) AS v
   WHERE place <= 20 GROUP BY account_id
)
SELECT k.id, COALESCE(s.seq, k.from_seq), COALESCE(s.balance, k.from_balance)::bigint, t.violations
  FROM asked k LEFT JOIN summed s ON s.account_id = k.id LEFT JOIN told t ON t.account_id = k.id
$$;
COMMENT ON FUNCTION tollgate.account_findings IS
  'violations: null where the books of the account are right, else at most 20 of {invariant, ref, detail}';
REVOKE ALL ON FUNCTION tollgate.account_findings FROM PUBLIC;
`;

/**
 * Which accounts changed is read from the rows themselves: each names the transaction that wrote it. So nothing has to be noted
 * where money moves, and no way to change an account is overlooked.
 */
const CHECK_ACCOUNTS = `
CREATE FUNCTION tollgate.begin_ledger_pass(p_every interval) RETURNS TABLE (since xid8, until xid8)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = tollgate, pg_temp AS $$
BEGIN
  RETURN QUERY
  UPDATE ledger_pass SET begun_at = now() WHERE begun_at IS NULL OR begun_at <= now() - p_every
  -- A mark of the future comes from another server, whose data was restored here.
  RETURNING CASE WHEN changed_since <= pg_snapshot_xmax(pg_current_snapshot()) THEN changed_since END,
            pg_snapshot_xmin(pg_current_snapshot());
END $$;
COMMENT ON FUNCTION tollgate.begin_ledger_pass IS
  'no row if a pass began less than p_every ago. since: to be checked is what changed from there on, null: everything; '
  'until: where the pass after this one goes on';
REVOKE ALL ON FUNCTION tollgate.begin_ledger_pass FROM PUBLIC;

CREATE FUNCTION tollgate.end_ledger_pass(p_until xid8) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = tollgate, pg_temp AS $$
  UPDATE ledger_pass SET changed_since = p_until, ended_at = now()
$$;
REVOKE ALL ON FUNCTION tollgate.end_ledger_pass FROM PUBLIC;

CREATE FUNCTION tollgate.changed_accounts(p_since xid8, p_after uuid, p_max int) RETURNS SETOF uuid
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = tollgate, pg_temp AS $$
DECLARE
  -- A little more, because the count of transactions goes on; beyond two billion it begins anew.
  v_age bigint := pg_snapshot_xmax(pg_current_snapshot())::text::bigint - p_since::text::bigint + 1000;
  v_stopped uuid[] := ARRAY(SELECT account_id FROM escrow_stop WHERE cleared_at IS NULL);
BEGIN
  RETURN QUERY SELECT id FROM account
    WHERE id > p_after AND (p_since IS NULL OR v_age > 2000000000 OR age(xmin) <= v_age OR id = ANY (v_stopped))
    ORDER BY id LIMIT p_max;
END $$;
COMMENT ON FUNCTION tollgate.changed_accounts IS
  'accounts above p_after, by id, that some transaction from p_since on wrote, and those that are stopped';
REVOKE ALL ON FUNCTION tollgate.changed_accounts FROM PUBLIC;

CREATE FUNCTION tollgate.check_accounts(p_accounts uuid[])
RETURNS TABLE (account_id uuid, violations jsonb, is_new boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = tollgate, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_found account_finding[];
  v_new uuid[];
BEGIN
  v_found := ARRAY(SELECT f FROM account_findings(p_accounts) AS f ORDER BY (f).account_id);
  INSERT INTO account_check AS c (account_id, seq, balance)
    SELECT account_id, seq, balance FROM unnest(v_found) WHERE violations IS NULL AND seq > 0
    ON CONFLICT (account_id) DO UPDATE SET seq = excluded.seq, balance = excluded.balance WHERE c.seq < excluded.seq;
  WITH stopped AS (
    INSERT INTO escrow_stop (account_id, violations) SELECT account_id, violations FROM unnest(v_found) WHERE violations IS NOT NULL
    ON CONFLICT (account_id) WHERE cleared_at IS NULL DO NOTHING RETURNING account_id)
  SELECT COALESCE(array_agg(account_id), '{}') INTO v_new FROM stopped;
  UPDATE escrow_stop s SET violations = f.violations FROM unnest(v_found) AS f
   WHERE s.account_id = f.account_id AND s.cleared_at IS NULL AND f.violations <> s.violations;
  RETURN QUERY SELECT account_id, violations, account_id = ANY (v_new) FROM unnest(v_found) WHERE violations IS NOT NULL;
END $$;
COMMENT ON FUNCTION tollgate.check_accounts IS
  'checks the books of accounts, notes up to where they are right, and stops new escrow where they are not: those are answered';
REVOKE ALL ON FUNCTION tollgate.check_accounts FROM PUBLIC;

CREATE FUNCTION tollgate.clear_escrow_stop(p_id bigint, p_note text) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = tollgate, pg_temp AS $$
DECLARE
  v_stop escrow_stop;
BEGIN
  SELECT * INTO v_stop FROM escrow_stop WHERE id = p_id FOR UPDATE;
  IF v_stop.id IS NULL THEN RETURN 'unknown'; END IF;
  IF v_stop.cleared_at IS NOT NULL THEN RETURN 'cleared_before'; END IF;
  IF EXISTS (SELECT FROM account_findings(ARRAY[v_stop.account_id]) AS f WHERE f.violations IS NOT NULL) THEN RETURN 'still_wrong'; END IF;
  UPDATE escrow_stop SET cleared_at = now(), note = p_note WHERE id = p_id;
  RETURN 'cleared';
END $$;
COMMENT ON FUNCTION tollgate.clear_escrow_stop IS
  'lets the account have escrow again. Outcome: cleared, cleared_before, still_wrong (its books have a violation now), unknown';
REVOKE ALL ON FUNCTION tollgate.clear_escrow_stop FROM PUBLIC;
`;

/** As before, but an account whose books are wrong is answered like a suspended one. */
const GRANT = `
CREATE OR REPLACE FUNCTION tollgate.grant_escrow(p_account uuid, p_escrow uuid, p_total bigint)
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
  IF v_account.status <> 'active'
     OR EXISTS (SELECT FROM escrow_stop WHERE account_id = p_account AND cleared_at IS NULL) THEN
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
`;

const RETURN_ESCROWS = `
CREATE FUNCTION tollgate.return_escrows(p_escrows uuid[]) RETURNS SETOF uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = tollgate, pg_temp AS $$
DECLARE
  v_locked uuid[] := lock_accounts(ARRAY(SELECT account_id FROM reservation WHERE id = ANY (p_escrows) AND kind = 'escrow'), NULL, true);
BEGIN
  RETURN QUERY UPDATE reservation SET state = 'closing', changed_at = now()
    WHERE id = ANY (p_escrows) AND account_id = ANY (v_locked) AND kind = 'escrow' AND state = 'open' RETURNING id;
END $$;
COMMENT ON FUNCTION tollgate.return_escrows IS
  'sets open escrows closing whose pockets are gone, answers which; those of locked accounts wait for the next time';
REVOKE ALL ON FUNCTION tollgate.return_escrows FROM PUBLIC;
`;

/** Ids are UUIDv7s, so the oldest come first in the order of the key. */
const PURGE = `
CREATE FUNCTION tollgate.purge_reservations(p_max int) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = tollgate, pg_temp AS $$
DECLARE
  v_purged int;
BEGIN
  IF p_max IS NULL OR p_max NOT BETWEEN 1 AND 100000 THEN
    RAISE EXCEPTION 'reservations are purged 1 to 100000 at a time, not %', p_max USING ERRCODE = '22023';
  END IF;
  DELETE FROM reservation WHERE id = ANY (ARRAY(
    SELECT id FROM reservation WHERE state = 'closed' AND id < uuid_v7_floor(now() - interval '7 days')
       AND changed_at < now() - interval '7 days' ORDER BY id LIMIT p_max FOR UPDATE SKIP LOCKED));
  GET DIAGNOSTICS v_purged = ROW_COUNT;
  RETURN v_purged;
END $$;
COMMENT ON FUNCTION tollgate.purge_reservations IS
  'deletes reservations that are closed and were made a week ago, at most so many, answers how many; they hold nothing';
REVOKE ALL ON FUNCTION tollgate.purge_reservations FROM PUBLIC;
`;

/** Gateways remember for a second that an account is empty: what comes in ends that. */
const NOTE_CREDIT = `
CREATE FUNCTION tollgate.note_credit() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = tollgate, pg_temp AS $$
BEGIN
  PERFORM pg_notify('tollgate_changed',
    json_build_object('table', 'balance', 'version', (SELECT version::text FROM catalog_version))::text);
  RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION tollgate.note_credit() FROM PUBLIC;
CREATE TRIGGER transfer_credited AFTER INSERT ON tollgate.transfer FOR EACH ROW
  WHEN (NEW.kind IN ('top_up', 'grant', 'adjustment') AND NEW.credit_id = NEW.account_id)
  EXECUTE FUNCTION tollgate.note_credit();
`;
