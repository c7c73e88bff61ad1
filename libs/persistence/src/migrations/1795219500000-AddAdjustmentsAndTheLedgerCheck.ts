import { SqlMigration } from './sql-migration.js';

/** Money in and out other than by usage, and the view that proves the books. */
export class AddAdjustmentsAndTheLedgerCheck extends SqlMigration {
  readonly name = 'AddAdjustmentsAndTheLedgerCheck1795219500000';
  protected readonly sql = `${ADJUST}${LEDGER_VIOLATION}`;
}

const ADJUST = `
CREATE FUNCTION tollgate.adjust(
  p_kind text, p_ref uuid, p_account uuid, p_amount bigint, p_reference text, p_note text)
RETURNS TABLE (outcome text, id bigint, kind text, ref_id uuid, account_id uuid, amount bigint, account_seq bigint,
  balance_after bigint, reference text, note text, created_at timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = tollgate, pg_temp AS $$
#variable_conflict use_column
DECLARE
  c_most constant bigint := 9000000000000000;
  v_other uuid;
  v_account account;
  v_transfer transfer;
  v_outcome text;
BEGIN
  v_other := CASE p_kind WHEN 'top_up' THEN '00000000-0000-0000-0000-000000000003'
                         WHEN 'refund' THEN '00000000-0000-0000-0000-000000000003'
                         WHEN 'grant' THEN '00000000-0000-0000-0000-000000000004'
                         WHEN 'adjustment' THEN '00000000-0000-0000-0000-000000000005' END::uuid;
  IF v_other IS NULL OR p_ref IS NULL OR p_amount IS NULL THEN
    RAISE EXCEPTION 'an adjustment is a top_up, grant, refund or adjustment with a reference id and an amount'
      USING ERRCODE = '22023';
  END IF;
  SELECT * INTO v_account FROM account WHERE id = p_account FOR NO KEY UPDATE;
  SELECT * INTO v_transfer FROM transfer WHERE kind = p_kind AND ref_id = p_ref;
  v_outcome := CASE
    WHEN v_account.id IS NULL THEN 'unknown_account'
    WHEN v_transfer.id IS NOT NULL THEN CASE
      WHEN v_transfer.account_id = p_account AND p_amount = v_transfer.amount
        * CASE WHEN v_transfer.credit_id = p_account THEN 1 ELSE -1 END THEN 'again' ELSE 'conflict' END
    WHEN p_amount = 0 OR p_amount NOT BETWEEN -c_most AND c_most THEN 'out_of_range'
    WHEN (p_kind IN ('top_up', 'grant') AND p_amount < 0) OR (p_kind = 'refund' AND p_amount > 0) THEN 'out_of_range'
    WHEN v_account.posted + p_amount > c_most THEN 'out_of_range'
    WHEN v_account.posted + p_amount - v_account.held < v_account.floor THEN 'would_break_floor'
    ELSE 'booked' END;
  IF v_outcome = 'booked' THEN
    INSERT INTO transfer (kind, ref_id, debit_id, credit_id, amount, account_id, account_seq, balance_after, reference, note)
      SELECT p_kind, p_ref, CASE WHEN p_amount > 0 THEN v_other ELSE p_account END,
             CASE WHEN p_amount > 0 THEN p_account ELSE v_other END, abs(p_amount), p_account, v_account.seq + 1,
             v_account.posted + p_amount, p_reference, p_note
      ON CONFLICT (kind, ref_id) DO NOTHING RETURNING * INTO v_transfer;
    -- Another account, whose lock is not ours, has taken the reference since we looked.
    IF v_transfer.id IS NULL THEN v_outcome := 'conflict'; END IF;
  END IF;
  IF v_outcome = 'booked' THEN
    UPDATE account SET posted = v_transfer.balance_after, seq = v_transfer.account_seq WHERE id = p_account;
  ELSIF v_outcome = 'conflict' THEN
    v_transfer := NULL;
  END IF;
  RETURN QUERY SELECT v_outcome, v_transfer.id, v_transfer.kind, v_transfer.ref_id, v_transfer.account_id,
    CASE WHEN v_transfer.credit_id = v_transfer.account_id THEN v_transfer.amount ELSE -v_transfer.amount END,
    v_transfer.account_seq, v_transfer.balance_after, v_transfer.reference, v_transfer.note, v_transfer.created_at;
END $$;
COMMENT ON FUNCTION tollgate.adjust IS
  'p_amount as the account sees it: top_up and grant add, refund takes away, adjustment does either. Outcome: booked, '
  'again, conflict (the reference has another account or amount), would_break_floor, unknown_account, out_of_range';
REVOKE ALL ON FUNCTION tollgate.adjust FROM PUBLIC;
`;

const LEDGER_VIOLATION = `
CREATE VIEW tollgate.ledger_violation AS
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
  FROM tollgate.usage_record u JOIN tollgate.transfer t ON t.ref_id = u.request_id AND t.kind IN ('usage', 'swept')
 WHERE t.account_id <> u.account_id
UNION ALL
SELECT 'reservation_within_grant', id::text, format('granted %s, used %s, released %s, %s', granted, used, released, state)
  FROM tollgate.reservation WHERE used + released > granted OR (state = 'closed' AND used + released <> granted);
COMMENT ON VIEW tollgate.ledger_violation IS 'empty at every commit; reads whole tables';
`;
