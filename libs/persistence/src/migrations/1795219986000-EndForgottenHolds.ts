import { SqlMigration } from './sql-migration.js';

/**
 * Ends holds whose requests were over and whose usage never came: the queue had the event, so the hold was closed, and then every copy
 * of it was lost. Five minutes after the hold would have expired nobody brings it any more: a gateway that lives settles itself what
 * Postgres does not know after 45 s. What is delivered later is settled all the same.
 */
export class EndForgottenHolds extends SqlMigration {
  readonly name = 'EndForgottenHolds1795219986000';
  protected readonly sql = `
CREATE INDEX reservation_closing_idx ON tollgate.reservation (deadline_at) WHERE kind = 'request' AND state = 'closing';

DROP FUNCTION tollgate.expire_holds(int, timestamptz);
CREATE FUNCTION tollgate.expire_holds(p_max int, p_queue_clear_until timestamptz DEFAULT NULL)
RETURNS TABLE (request_id uuid, account_id uuid, amount bigint, checkpoint jsonb, was_over boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = tollgate, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_due_before timestamptz := LEAST(now(), p_queue_clear_until);
  v_over_before timestamptz := v_due_before - interval '5 minutes';
  v_due uuid[]; v_locked uuid[];
BEGIN
  v_due := ARRAY(SELECT id FROM reservation WHERE state = 'open' AND kind = 'request' AND deadline_at < v_due_before
                  ORDER BY deadline_at LIMIT p_max);
  -- A dead letter keeps the hold of its request until an operator decides.
  v_due := v_due || ARRAY(SELECT id FROM reservation WHERE state = 'closing' AND kind = 'request' AND deadline_at < v_over_before
                  AND NOT EXISTS (SELECT FROM quarantine q WHERE q.request_id = reservation.id)
                  ORDER BY deadline_at LIMIT p_max - cardinality(v_due));
  v_locked := lock_accounts(ARRAY(SELECT account_id FROM reservation WHERE id = ANY (v_due)), NULL, true);
  RETURN QUERY
  WITH due AS (
    SELECT id, granted - used - released AS rest, state = 'closing' AS was_over FROM reservation
     WHERE id = ANY (v_due) AND account_id = ANY (v_locked)
       AND (state = 'open' AND deadline_at < v_due_before OR state = 'closing' AND deadline_at < v_over_before)
  ), expired AS (
    UPDATE reservation s SET
        released = CASE WHEN s.checkpoint IS NULL THEN s.granted - s.used ELSE s.released END,
        state = CASE WHEN s.checkpoint IS NULL THEN 'closed' ELSE s.state END,
        deadline_at = CASE WHEN s.checkpoint IS NULL THEN s.deadline_at ELSE now() + interval '1 minute' END
      FROM due d WHERE s.id = d.id
    RETURNING s.id, s.account_id, d.rest, s.checkpoint, d.was_over
  ), freed AS (
    UPDATE account a SET held = a.held - f.amount
      FROM (SELECT account_id, sum(rest)::bigint AS amount FROM expired WHERE checkpoint IS NULL GROUP BY account_id) AS f
     WHERE a.id = f.account_id AND f.amount > 0
    RETURNING a.id
  )
  SELECT e.id, e.account_id, e.rest, e.checkpoint, e.was_over FROM expired e;
END $$;
COMMENT ON FUNCTION tollgate.expire_holds IS
  'frees holds that nobody renewed, and those of requests that were over (was_over) and whose usage did not come for 5 min, at '
  'most so many; one with a checkpoint stays and is answered with it, to be settled as swept, and again later if it was not. '
  'p_queue_clear_until: no usage event that was published before it is still waiting. Accounts locked by somebody else wait '
  'for the next time';
REVOKE ALL ON FUNCTION tollgate.expire_holds FROM PUBLIC;
`;
}
