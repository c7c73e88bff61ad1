import { SqlMigration } from './sql-migration.js';

/**
 * Fills many pockets with one statement: when Redis begins anew, every account that is in use asks at once. Accounts are locked
 * first, by id, as everywhere.
 */
export class AddGrantBatch extends SqlMigration {
  readonly name = 'AddGrantBatch1795219985000';
  protected readonly sql = `
CREATE FUNCTION tollgate.grant_escrow_batch(p jsonb, p_lock_timeout_ms int DEFAULT NULL, p_skip_locked boolean DEFAULT false)
RETURNS TABLE (escrow_id uuid, outcome text, granted bigint, available bigint, "returning" bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = tollgate, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_asked uuid[] := ARRAY(SELECT a FROM jsonb_to_recordset(p) AS (a uuid));
  v_known uuid[] := ARRAY(SELECT id FROM account WHERE id = ANY (v_asked));
  v_locked uuid[] := lock_accounts(v_known, p_lock_timeout_ms, p_skip_locked);
  x record;
BEGIN
  FOR x IN SELECT e, a, total FROM ROWS FROM (jsonb_to_recordset(p) AS (e uuid, a uuid, total bigint)) WITH ORDINALITY
             AS x (e, a, total, n) ORDER BY n
  LOOP
    IF x.a = ANY (v_known) AND x.a <> ALL (v_locked) THEN
      RETURN QUERY SELECT x.e, 'busy', 0::bigint, 0::bigint, 0::bigint;
    ELSE
      RETURN QUERY SELECT x.e, g.outcome, g.granted, g.available, g."returning" FROM grant_escrow(x.a, x.e, x.total) AS g;
    END IF;
  END LOOP;
END $$;
COMMENT ON FUNCTION tollgate.grant_escrow_batch IS
  'grant_escrow for each of [{e: escrow, a: account, total}], in this order; busy: somebody else has locked the account';
REVOKE ALL ON FUNCTION tollgate.grant_escrow_batch FROM PUBLIC;
`;
}
