import { SqlMigration } from './sql-migration.js';

/**
 * What money is: balances, holds, usage and transfers. Amounts are nano-credits.
 *
 * `usage_record` is partitioned on its own UUIDv7, so that the primary key stays global. It and `transfer` have no
 * foreign key to `account`: accounts are never deleted, the functions that write here hold the account's row lock, and
 * a key check for each row costs a fifth of the settling speed.
 */
export class CreateAccountsAndTheirLedger extends SqlMigration {
  readonly name = 'CreateAccountsAndTheirLedger1795219200000';
  protected readonly sql = SQL;
}

const SQL = `
-- posted, held and seq are written by the money functions only. Rows are never deleted.
CREATE TABLE tollgate.account (
  id uuid CONSTRAINT account_pkey PRIMARY KEY,
  name text NOT NULL,
  external_id text CONSTRAINT account_external_id_key UNIQUE,
  status text NOT NULL DEFAULT 'active',
  plan text NOT NULL DEFAULT 'default',
  multiplier_ppm int NOT NULL DEFAULT 1000000,
  metadata jsonb NOT NULL DEFAULT '{}',
  floor bigint NOT NULL DEFAULT 0,
  posted bigint NOT NULL DEFAULT 0,
  held bigint NOT NULL DEFAULT 0,
  seq bigint NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT account_id_not_system CHECK (id > '00000000-0000-0000-0000-0000000000ff'),
  CONSTRAINT account_status_known CHECK (status IN ('active', 'suspended')),
  CONSTRAINT account_multiplier_not_negative CHECK (multiplier_ppm >= 0),
  CONSTRAINT account_held_not_negative CHECK (held >= 0),
  CONSTRAINT account_never_below_floor CHECK (posted - held >= floor),
  CONSTRAINT account_balance_in_range CHECK (posted <= 9000000000000000 AND floor >= -9000000000000000)
) WITH (fillfactor = 70);
CREATE INDEX account_created_at_idx ON tollgate.account (created_at, id);

-- kind request: a hold, its id is the request id. State closing: the request is over, settling will consume the rest.
CREATE TABLE tollgate.reservation (
  id uuid CONSTRAINT reservation_pkey PRIMARY KEY,
  account_id uuid NOT NULL CONSTRAINT reservation_account_id_fkey REFERENCES tollgate.account (id),
  kind text NOT NULL,
  granted bigint NOT NULL,
  used bigint NOT NULL DEFAULT 0,
  released bigint NOT NULL DEFAULT 0,
  state text NOT NULL DEFAULT 'open',
  deadline_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT reservation_kind_known CHECK (kind IN ('request', 'escrow')),
  CONSTRAINT reservation_state_known CHECK (state IN ('open', 'closing', 'closed')),
  CONSTRAINT reservation_used_not_negative CHECK (used >= 0),
  CONSTRAINT reservation_released_not_negative CHECK (released >= 0),
  CONSTRAINT reservation_within_grant CHECK (used + released <= granted),
  CONSTRAINT reservation_closed_is_drained CHECK (state <> 'closed' OR used + released = granted)
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX reservation_one_open_escrow ON tollgate.reservation (account_id)
  WHERE kind = 'escrow' AND state = 'open';
CREATE INDEX reservation_live_escrow_idx ON tollgate.reservation (account_id)
  WHERE kind = 'escrow' AND state <> 'closed';
CREATE INDEX reservation_deadline_idx ON tollgate.reservation (deadline_at) WHERE state = 'open';

-- Insert-only. One row per request; two only if it was swept and then reversed.
CREATE TABLE tollgate.usage_record (
  request_id uuid NOT NULL,
  swept boolean NOT NULL DEFAULT false,
  account_id uuid NOT NULL,
  api_key_id uuid NOT NULL,
  model text NOT NULL,
  upstream_model text NOT NULL,
  deployment_id uuid,
  price_id uuid NOT NULL,
  multiplier_ppm int NOT NULL,
  units jsonb NOT NULL,
  billable boolean NOT NULL,
  usage_source text NOT NULL,
  outcome text NOT NULL,
  cost bigint NOT NULL,
  attempts int NOT NULL,
  first_byte_ms int,
  total_ms int NOT NULL,
  finished_at timestamptz NOT NULL,
  body_hash bytea NOT NULL,
  recorded_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT usage_record_pkey PRIMARY KEY (request_id, swept),
  CONSTRAINT usage_record_source_known CHECK (usage_source IN ('provider', 'estimated', 'partial', 'none')),
  CONSTRAINT usage_record_outcome_known
    CHECK (outcome IN ('completed', 'client_closed', 'upstream_failed', 'cut_off', 'timeout')),
  CONSTRAINT usage_record_cost_not_negative CHECK (cost >= 0)
) PARTITION BY RANGE (request_id);
CREATE INDEX usage_record_account_idx ON tollgate.usage_record (account_id, request_id);
CREATE TABLE tollgate.usage_record_default PARTITION OF tollgate.usage_record DEFAULT;

-- Insert-only. System sides: ...01 revenue, ...02 absorbed, ...03 cash, ...04 promotion, ...05 adjustments.
CREATE TABLE tollgate.transfer (
  id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT transfer_pkey PRIMARY KEY,
  kind text NOT NULL,
  ref_id uuid NOT NULL,
  debit_id uuid NOT NULL,
  credit_id uuid NOT NULL,
  amount bigint NOT NULL,
  account_id uuid,
  account_seq bigint,
  balance_after bigint,
  reference text,
  note text,
  created_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT transfer_once UNIQUE (kind, ref_id),
  CONSTRAINT transfer_account_seq_key UNIQUE (account_id, account_seq),
  CONSTRAINT transfer_kind_known CHECK (kind IN ('usage', 'swept', 'absorbed', 'reversal', 'top_up', 'grant',
    'refund', 'adjustment', 'expiry')),
  CONSTRAINT transfer_amount_positive CHECK (amount > 0),
  CONSTRAINT transfer_two_sides CHECK (debit_id <> credit_id),
  CONSTRAINT transfer_account_whole CHECK ((account_id IS NULL) = (account_seq IS NULL)
    AND (account_id IS NULL) = (balance_after IS NULL)),
  CONSTRAINT transfer_one_customer CHECK (
    (debit_id IS NOT DISTINCT FROM account_id OR debit_id <= '00000000-0000-0000-0000-0000000000ff')
    AND (credit_id IS NOT DISTINCT FROM account_id OR credit_id <= '00000000-0000-0000-0000-0000000000ff')
    AND (account_id IS NULL OR account_id IN (debit_id, credit_id)))
);

-- Usage events that can never settle, each with its reason: for a person to decide.
CREATE TABLE tollgate.quarantine (
  request_id uuid NOT NULL,
  body_hash bytea NOT NULL,
  reason text NOT NULL,
  body jsonb NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT quarantine_pkey PRIMARY KEY (request_id, body_hash)
);
`;
