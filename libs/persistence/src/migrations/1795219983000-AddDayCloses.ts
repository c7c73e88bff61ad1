import { SqlMigration } from './sql-migration.js';

/**
 * Days of transfers, closed: how many there were, what they sum to, and a hash that no row of them and no earlier day can be
 * changed without. Rows belong to a day by their ids, so none is in two days and none in no day.
 */
export class AddDayCloses extends SqlMigration {
  readonly name = 'AddDayCloses1795219983000';
  protected readonly sql = `${TABLES}${DIGEST}${CLOSE_DAYS}${VERIFY}`;
}

/**
 * A transfer gets its id before it commits, so what is visible may have gaps that fill later. `transfer_mark` notes the highest id
 * that was visible, and then a transaction. Every writer of transfers has a transaction id before it draws that of a transfer; so
 * once all transactions up to the noted one have ended, no row up to that id can appear any more.
 */
const TABLES = `
CREATE TABLE tollgate.transfer_mark (
  id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT transfer_mark_pkey PRIMARY KEY,
  transfer_id bigint NOT NULL,
  noted_by xid8 NOT NULL,
  noted_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE tollgate.day_close (
  day date CONSTRAINT day_close_pkey PRIMARY KEY,
  previous_day date,
  after_id bigint NOT NULL,
  until_id bigint NOT NULL,
  count bigint NOT NULL,
  sums jsonb NOT NULL,
  rows_hash bytea NOT NULL,
  previous_hash bytea NOT NULL,
  hash bytea NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT day_close_link_key UNIQUE (day, until_id, hash),
  CONSTRAINT day_close_follows FOREIGN KEY (previous_day, after_id, previous_hash)
    REFERENCES tollgate.day_close (day, until_id, hash),
  CONSTRAINT day_close_leaves_no_day_out CHECK (previous_day = day - 1),
  CONSTRAINT day_close_first_begins_empty CHECK (previous_day IS NOT NULL
    OR (after_id = 0 AND previous_hash = decode(repeat('00', 32), 'hex'))),
  CONSTRAINT day_close_count_fits CHECK (count BETWEEN 0 AND until_id - after_id),
  CONSTRAINT day_close_hash_is_of_row CHECK (hash = sha256(previous_hash || rows_hash || convert_to(
    (day - date '1970-01-01')::text || ' ' || after_id::text || ' ' || until_id::text || ' ' || count::text || ' ' || sums::text,
    'UTF8')))
);
CREATE UNIQUE INDEX day_close_one_first ON tollgate.day_close ((previous_day IS NULL)) WHERE previous_day IS NULL;
CREATE TRIGGER day_close_never_changes BEFORE UPDATE OR DELETE OR TRUNCATE ON tollgate.day_close
  FOR EACH STATEMENT EXECUTE FUNCTION tollgate.refuse_change();
`;

/** In pieces of 10,000 rows, each hashed with what comes before it: a day may have more rows than fit into memory. */
const DIGEST = `
CREATE FUNCTION tollgate.digest_transfers(p_after bigint, p_until bigint, OUT count bigint, OUT sums jsonb, OUT rows_hash bytea)
LANGUAGE plpgsql STABLE SET search_path = tollgate, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_after bigint := p_after;
  v_last bigint;
  v_piece bytea;
BEGIN
  rows_hash := sha256('');
  LOOP
    SELECT max(t.id), convert_to(string_agg(jsonb_build_array(t.id, t.kind, t.ref_id, t.debit_id, t.credit_id, t.amount, t.account_id,
             t.account_seq, t.balance_after, t.reference, t.note, (extract(epoch FROM t.created_at) * 1000000)::bigint)::text,
             E'\\n' ORDER BY t.id), 'UTF8')
      INTO v_last, v_piece
      FROM (SELECT * FROM transfer WHERE id > v_after AND id <= p_until ORDER BY id LIMIT 10000) AS t;
    EXIT WHEN v_last IS NULL;
    rows_hash := sha256(rows_hash || v_piece);
    v_after := v_last;
  END LOOP;
  SELECT COALESCE(sum(k.count), 0)::bigint, COALESCE(jsonb_object_agg(k.kind, k.amount::text), '{}') INTO count, sums
    FROM (SELECT t.kind, count(*) AS count, sum(t.amount) AS amount FROM transfer t
           WHERE t.id > p_after AND t.id <= p_until GROUP BY t.kind) AS k;
END $$;
COMMENT ON FUNCTION tollgate.digest_transfers IS
  'of the transfers with these ids: how many, what they sum to by kind as decimal strings of nano-credits, and a hash of all';
REVOKE ALL ON FUNCTION tollgate.digest_transfers FROM PUBLIC;
`;

const CLOSE_DAYS = `
CREATE FUNCTION tollgate.close_days(p_patience interval, p_max int) RETURNS SETOF tollgate.day_close
LANGUAGE plpgsql SECURITY DEFINER SET search_path = tollgate, pg_temp AS $$
DECLARE
  v_last day_close;
  v_mark transfer_mark;
  v_visible bigint;
  v_day date;
  v_end timestamptz;
  v_from bigint;
  v_until bigint;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('tollgate.close_days'));
  SELECT * INTO v_mark FROM transfer_mark WHERE noted_by < pg_snapshot_xmin(pg_current_snapshot())
   ORDER BY transfer_id DESC, id DESC LIMIT 1;
  SELECT COALESCE(max(id), 0) INTO v_visible FROM transfer;
  INSERT INTO transfer_mark (transfer_id, noted_by) VALUES (v_visible, pg_current_xact_id());
  -- Those of the future come from another server, whose data was restored here.
  DELETE FROM transfer_mark WHERE (id < v_mark.id AND transfer_id <= v_mark.transfer_id) OR noted_by > pg_current_xact_id();
  IF v_mark.id IS NULL THEN RETURN; END IF;
  SELECT * INTO v_last FROM day_close ORDER BY day DESC LIMIT 1;
  v_day := COALESCE(v_last.day + 1, (SELECT (created_at AT TIME ZONE 'UTC')::date FROM transfer ORDER BY id LIMIT 1));
  FOR v_n IN 1..p_max LOOP
    v_end := (v_day + 1)::timestamp AT TIME ZONE 'UTC';
    EXIT WHEN v_day IS NULL OR v_end > now();
    -- Rows of the day may come until a mark that was made after it is good; whoever never ends is not waited for.
    EXIT WHEN v_mark.noted_at < v_end
      AND NOT EXISTS (SELECT FROM transfer_mark WHERE noted_at BETWEEN v_end AND now() - p_patience);
    v_from := COALESCE(v_last.until_id, 0);
    v_until := COALESCE((SELECT max(id) FROM transfer WHERE id > v_from AND id <= v_mark.transfer_id AND created_at < v_end), v_from);
    INSERT INTO day_close (day, previous_day, after_id, until_id, count, sums, rows_hash, previous_hash, hash)
      SELECT v_day, v_last.day, v_from, v_until, d.count, d.sums, d.rows_hash, p.hash,
             sha256(p.hash || d.rows_hash || convert_to((v_day - date '1970-01-01')::text || ' ' || v_from::text || ' '
               || v_until::text || ' ' || d.count::text || ' ' || d.sums::text, 'UTF8'))
        FROM digest_transfers(v_from, v_until) AS d, COALESCE(v_last.hash, decode(repeat('00', 32), 'hex')) AS p (hash)
      RETURNING * INTO v_last;
    RETURN NEXT v_last;
    v_day := v_day + 1;
  END LOOP;
END $$;
COMMENT ON FUNCTION tollgate.close_days IS
  'closes the days of UTC that are over, oldest first, at most so many, answers them. Only rows are taken that are older than '
  'every running transaction; one that runs for longer than p_patience after the end of a day leaves the rest to the next day';
REVOKE ALL ON FUNCTION tollgate.close_days FROM PUBLIC;
`;

/** Says again what the constraints say: whoever could change a row could also drop those. */
const VERIFY = `
CREATE FUNCTION tollgate.day_close_violations(p_day date) RETURNS SETOF text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = tollgate, pg_temp AS $$
DECLARE
  v_close day_close;
  v_previous day_close;
  v_found record;
BEGIN
  SELECT * INTO v_close FROM day_close WHERE day = p_day;
  IF v_close.day IS NULL THEN
    RETURN NEXT 'the day is not closed';
    RETURN;
  END IF;
  SELECT * INTO v_previous FROM day_close WHERE day < p_day ORDER BY day DESC LIMIT 1;
  SELECT * INTO v_found FROM digest_transfers(v_close.after_id, v_close.until_id);
  IF v_found.count <> v_close.count THEN
    RETURN NEXT format('%s transfers were closed, %s are there (ids %s to %s)',
      v_close.count, v_found.count, v_close.after_id + 1, v_close.until_id);
  END IF;
  IF v_found.sums <> v_close.sums THEN
    RETURN NEXT format('the sums were %s, they are %s', v_close.sums, v_found.sums);
  END IF;
  IF v_found.rows_hash <> v_close.rows_hash THEN
    RETURN NEXT format('a transfer was changed after the close (ids %s to %s)', v_close.after_id + 1, v_close.until_id);
  END IF;
  IF v_close.hash <> sha256(v_close.previous_hash || v_close.rows_hash || convert_to((v_close.day - date '1970-01-01')::text || ' '
       || v_close.after_id::text || ' ' || v_close.until_id::text || ' ' || v_close.count::text || ' ' || v_close.sums::text, 'UTF8')) THEN
    RETURN NEXT 'the hash is not that of the row';
  END IF;
  IF (v_previous.day IS NULL AND (v_close.after_id <> 0 OR v_close.previous_hash <> decode(repeat('00', 32), 'hex')))
     OR (v_previous.day IS NOT NULL AND (v_previous.day, v_previous.until_id, v_previous.hash)
          IS DISTINCT FROM (v_close.day - 1, v_close.after_id, v_close.previous_hash)) THEN
    RETURN NEXT 'it does not follow the day before';
  END IF;
END $$;
COMMENT ON FUNCTION tollgate.day_close_violations IS 'what speaks against the close of a day: nothing, if no row of it was changed since';
REVOKE ALL ON FUNCTION tollgate.day_close_violations FROM PUBLIC;
`;
