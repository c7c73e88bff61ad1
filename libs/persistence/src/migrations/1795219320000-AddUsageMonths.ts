import { SqlMigration } from './sql-migration.js';

/** Months of usage: partitions between UUIDv7 bounds, made ahead of time. */
export class AddUsageMonths extends SqlMigration {
  readonly name = 'AddUsageMonths1795219320000';
  protected readonly sql = SQL;
}

const SQL = `
CREATE FUNCTION tollgate.uuid_v7_floor(p_time timestamptz) RETURNS uuid
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  SELECT (lpad(to_hex(floor(extract(epoch FROM p_time) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
$$;
COMMENT ON FUNCTION tollgate.uuid_v7_floor IS 'below every UUIDv7 of this millisecond or later, above every earlier one';

-- Rows of the month that the default partition has taken meanwhile move along: a month can always be made late.
CREATE FUNCTION tollgate.create_usage_month(p_month timestamptz) RETURNS boolean
LANGUAGE plpgsql SET search_path = tollgate, pg_temp SET "TimeZone" = 'UTC' AS $$
DECLARE
  v_table text := 'usage_record_' || to_char(p_month, 'YYYY_MM');
  v_from uuid := uuid_v7_floor(p_month);
  v_to uuid := uuid_v7_floor(p_month + interval '1 month');
BEGIN
  IF to_regclass('tollgate.' || v_table) IS NOT NULL THEN
    RETURN false;
  END IF;
  EXECUTE format('CREATE TABLE %I (LIKE usage_record INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', v_table);
  -- Nobody may add a row to the default partition between the move and the attachment.
  LOCK TABLE usage_record_default IN ACCESS EXCLUSIVE MODE;
  EXECUTE format('WITH moved AS (DELETE FROM usage_record_default WHERE request_id >= %L AND request_id < %L RETURNING *)
    INSERT INTO %I SELECT * FROM moved', v_from, v_to, v_table);
  EXECUTE format('ALTER TABLE usage_record ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', v_table, v_from, v_to);
  RETURN true;
END $$;
REVOKE ALL ON FUNCTION tollgate.create_usage_month FROM PUBLIC;

CREATE FUNCTION tollgate.ensure_usage_partitions(p_months_ahead int) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = tollgate, pg_temp SET "TimeZone" = 'UTC' AS $$
DECLARE
  v_made int := 0;
BEGIN
  IF p_months_ahead NOT BETWEEN 0 AND 24 THEN
    RAISE EXCEPTION 'months ahead are 0 to 24, not %', p_months_ahead USING ERRCODE = '22023';
  END IF;
  PERFORM pg_advisory_xact_lock(hashtext('tollgate.ensure_usage_partitions'));
  FOR v_ahead IN 0..p_months_ahead LOOP
    IF create_usage_month(date_trunc('month', now()) + make_interval(months => v_ahead)) THEN
      v_made := v_made + 1;
    END IF;
  END LOOP;
  RETURN v_made;
END $$;
COMMENT ON FUNCTION tollgate.ensure_usage_partitions IS 'makes this month and so many to come, answers how many were new';
REVOKE ALL ON FUNCTION tollgate.ensure_usage_partitions FROM PUBLIC;
`;
