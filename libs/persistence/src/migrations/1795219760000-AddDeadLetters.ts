import { SqlMigration } from './sql-migration.js';

/**
 * Quarantined usage events become dead letters: each has an id, and what operators decide about it is kept beside it. Both
 * tables are insert-only, and a dead letter is resolved once.
 */
export class AddDeadLetters extends SqlMigration {
  readonly name = 'AddDeadLetters1795219760000';
  protected readonly sql = `${DECISIONS}${OPEN_DEAD_LETTER}${DISCARD_DEAD_LETTER}`;
}

/** A replay that failed again is a decision too, and leaves the dead letter open: its reason is then the newest one. */
const DECISIONS = `
ALTER TABLE tollgate.quarantine ADD COLUMN id bigserial CONSTRAINT quarantine_id_key UNIQUE;

CREATE TABLE tollgate.dead_letter_decision (
  id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT dead_letter_decision_pkey PRIMARY KEY,
  dead_letter_id bigint NOT NULL CONSTRAINT dead_letter_decision_dead_letter_id_fkey REFERENCES tollgate.quarantine (id),
  outcome text NOT NULL,
  reason text,
  charged bigint NOT NULL DEFAULT 0,
  absorbed bigint NOT NULL DEFAULT 0,
  freed bigint NOT NULL DEFAULT 0,
  note text,
  created_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT dead_letter_decision_outcome_known CHECK (outcome IN ('settled', 'known', 'quarantined', 'discarded')),
  CONSTRAINT dead_letter_decision_reason_if_open CHECK ((outcome = 'quarantined') = (reason IS NOT NULL)),
  CONSTRAINT dead_letter_decision_note_if_discarded CHECK ((outcome = 'discarded') = (note IS NOT NULL)),
  CONSTRAINT dead_letter_decision_amounts_not_negative CHECK (charged >= 0 AND absorbed >= 0 AND freed >= 0),
  CONSTRAINT dead_letter_decision_moves_if_settled CHECK (outcome = 'settled' OR (charged = 0 AND absorbed = 0)),
  CONSTRAINT dead_letter_decision_frees_if_discarded CHECK (outcome = 'discarded' OR freed = 0)
);
CREATE UNIQUE INDEX dead_letter_decision_resolved_once ON tollgate.dead_letter_decision (dead_letter_id)
  WHERE outcome <> 'quarantined';
CREATE INDEX dead_letter_decision_dead_letter_idx ON tollgate.dead_letter_decision (dead_letter_id, id);
`;

/** Locks come in one order for all: dead letters of a request by id, then the account. */
const OPEN_DEAD_LETTER = `
CREATE FUNCTION tollgate.open_dead_letter(p_id bigint) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = tollgate, pg_temp AS $$
BEGIN
  PERFORM FROM quarantine WHERE request_id = (SELECT request_id FROM quarantine WHERE id = p_id) ORDER BY id FOR UPDATE;
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
  RETURN NOT EXISTS (SELECT FROM dead_letter_decision WHERE dead_letter_id = p_id AND outcome <> 'quarantined');
END $$;
COMMENT ON FUNCTION tollgate.open_dead_letter IS
  'locks the dead letters of a request until the transaction ends; whether this one is open, null if there is none';
REVOKE ALL ON FUNCTION tollgate.open_dead_letter FROM PUBLIC;
`;

/**
 * Frees what the closing hold of the request keeps set aside, unless another open dead letter may still settle it. A hold
 * that is open belongs to a request that runs: it closes, or it expires.
 */
const DISCARD_DEAD_LETTER = `
CREATE FUNCTION tollgate.discard_dead_letter(p_id bigint, p_note text) RETURNS TABLE (outcome text, freed bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = tollgate, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_open boolean := open_dead_letter(p_id);
  v_request uuid;
  v_hold reservation;
  v_freed bigint := 0;
BEGIN
  IF v_open IS NOT TRUE THEN
    RETURN QUERY SELECT CASE WHEN v_open IS NULL THEN 'unknown' ELSE 'resolved' END, 0::bigint;
    RETURN;
  END IF;
  SELECT request_id INTO v_request FROM quarantine WHERE id = p_id;
  PERFORM lock_accounts(ARRAY(SELECT account_id FROM reservation WHERE id = v_request), NULL, false);
  SELECT * INTO v_hold FROM reservation WHERE id = v_request AND kind = 'request' AND state <> 'closed';
  IF v_hold.state = 'open' THEN
    RETURN QUERY SELECT 'request_runs'::text, 0::bigint;
    RETURN;
  END IF;
  IF v_hold.id IS NOT NULL AND NOT EXISTS (
    SELECT FROM quarantine q WHERE q.request_id = v_request AND q.id <> p_id AND NOT EXISTS (
      SELECT FROM dead_letter_decision d WHERE d.dead_letter_id = q.id AND d.outcome <> 'quarantined'))
  THEN
    v_freed := v_hold.granted - v_hold.used - v_hold.released;
    UPDATE reservation SET released = released + v_freed, state = 'closed' WHERE id = v_request;
    UPDATE account SET held = held - v_freed WHERE id = v_hold.account_id;
  END IF;
  INSERT INTO dead_letter_decision (dead_letter_id, outcome, freed, note) VALUES (p_id, 'discarded', v_freed, p_note);
  RETURN QUERY SELECT 'discarded'::text, v_freed;
END $$;
COMMENT ON FUNCTION tollgate.discard_dead_letter IS
  'gives a usage event up and frees what its closing hold keeps. Outcome: discarded, resolved (before), request_runs (its '
  'hold is open: later), unknown';
REVOKE ALL ON FUNCTION tollgate.discard_dead_letter FROM PUBLIC;
`;
