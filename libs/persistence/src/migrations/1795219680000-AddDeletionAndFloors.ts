import { SqlMigration } from './sql-migration.js';

/**
 * Models and deployments that are deleted stay as rows: usage and prices refer to them. A model's id is a name of the public
 * API and is never used again; a deployment's name and external id are free again. And the one way to change a floor.
 */
export class AddDeletionAndFloors extends SqlMigration {
  readonly name = 'AddDeletionAndFloors1795219680000';
  protected readonly sql = `${DELETION}${SET_FLOOR}`;
}

const DELETION = `
ALTER TABLE tollgate.model ADD COLUMN deleted_at timestamptz;
ALTER TABLE tollgate.deployment
  ADD COLUMN deleted_at timestamptz,
  DROP CONSTRAINT deployment_name_key,
  DROP CONSTRAINT deployment_external_id_key;
CREATE UNIQUE INDEX deployment_name_key ON tollgate.deployment (name) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX deployment_external_id_key ON tollgate.deployment (external_id) WHERE deleted_at IS NULL;
`;

const SET_FLOOR = `
CREATE FUNCTION tollgate.set_floor(p_account uuid, p_floor bigint) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = tollgate, pg_temp AS $$
DECLARE
  c_most constant bigint := 9000000000000000;
  v_account account;
BEGIN
  IF p_floor IS NULL THEN
    RAISE EXCEPTION 'an account needs a floor' USING ERRCODE = '22023';
  END IF;
  SELECT * INTO v_account FROM account WHERE id = p_account FOR NO KEY UPDATE;
  IF v_account.id IS NULL THEN RETURN 'unknown_account'; END IF;
  IF p_floor NOT BETWEEN -c_most AND c_most THEN RETURN 'out_of_range'; END IF;
  IF v_account.posted - v_account.held < p_floor THEN RETURN 'would_break_floor'; END IF;
  UPDATE account SET floor = p_floor, updated_at = now() WHERE id = p_account;
  RETURN 'set';
END $$;
COMMENT ON FUNCTION tollgate.set_floor IS
  'what posted - held never goes below. Outcome: set, would_break_floor (it is below that now), unknown_account, out_of_range';
REVOKE ALL ON FUNCTION tollgate.set_floor FROM PUBLIC;
`;
