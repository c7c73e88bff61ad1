import { SqlMigration } from './sql-migration.js';

/**
 * What an operator manages. Every change that gateways cache raises `catalog_version` and sends a notice with the
 * table and the version. The version's row lock is kept until commit, so versions become visible in their order.
 */
export class CreateCatalogKeysAndOperatorRecords extends SqlMigration {
  readonly name = 'CreateCatalogKeysAndOperatorRecords1795219260000';
  protected readonly sql = `${CATALOG}${KEYS_AND_RECORDS}${CATALOG_VERSION}`;
}

const CATALOG = `
CREATE TABLE tollgate.model (
  id text CONSTRAINT model_pkey PRIMARY KEY,
  display_name text,
  owned_by text NOT NULL DEFAULT 'tollgate',
  context_tokens int,
  output_tokens_max int,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT model_id_not_empty CHECK (id <> ''),
  CONSTRAINT model_limits_positive CHECK (context_tokens > 0 AND output_tokens_max > 0)
);

CREATE TABLE tollgate.deployment (
  id uuid CONSTRAINT deployment_pkey PRIMARY KEY,
  name text NOT NULL CONSTRAINT deployment_name_key UNIQUE,
  external_id text CONSTRAINT deployment_external_id_key UNIQUE,
  provider text NOT NULL,
  base_url text NOT NULL,
  credential text NOT NULL,
  status text NOT NULL DEFAULT 'active',
  apis text[],
  settings jsonb NOT NULL DEFAULT '{}',
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT deployment_provider_known CHECK (provider IN ('openai')),
  CONSTRAINT deployment_status_known CHECK (status IN ('active', 'disabled'))
);

CREATE TABLE tollgate.deployment_model (
  deployment_id uuid NOT NULL CONSTRAINT deployment_model_deployment_id_fkey REFERENCES tollgate.deployment (id),
  model text NOT NULL CONSTRAINT deployment_model_model_fkey REFERENCES tollgate.model (id),
  upstream_model text NOT NULL,
  priority int NOT NULL DEFAULT 0,
  weight int NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT deployment_model_pkey PRIMARY KEY (deployment_id, model),
  CONSTRAINT deployment_model_weight_not_negative CHECK (weight >= 0)
);
CREATE INDEX deployment_model_model_idx ON tollgate.deployment_model (model);

CREATE FUNCTION tollgate.is_rates(rates jsonb) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  SELECT CASE WHEN jsonb_typeof(rates) <> 'object' THEN false
    ELSE NOT EXISTS (SELECT FROM jsonb_each(rates) AS rate
      WHERE jsonb_typeof(rate.value) <> 'string' OR rate.value #>> '{}' !~ '^(0|[1-9][0-9]{0,15})$')
  END
$$;
COMMENT ON FUNCTION tollgate.is_rates IS 'an object of pico-credits per unit as decimal strings: whole, not negative';

-- Insert-only. In force from effective_from until the next of its model and plan begins. Rates: pico-credits per unit.
CREATE TABLE tollgate.price (
  id uuid CONSTRAINT price_pkey PRIMARY KEY,
  model text NOT NULL CONSTRAINT price_model_fkey REFERENCES tollgate.model (id),
  plan text NOT NULL DEFAULT 'default',
  rates jsonb NOT NULL,
  per_request bigint NOT NULL DEFAULT 0,
  minimum_charge bigint NOT NULL DEFAULT 0,
  effective_from timestamptz NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT price_effective_once UNIQUE (model, plan, effective_from),
  CONSTRAINT price_rates_exact CHECK (tollgate.is_rates(rates)),
  CONSTRAINT price_per_request_in_range CHECK (per_request BETWEEN 0 AND 9000000000000000),
  CONSTRAINT price_minimum_charge_in_range CHECK (minimum_charge BETWEEN 0 AND 9000000000000000)
);
`;

const KEYS_AND_RECORDS = `
CREATE TABLE tollgate.api_key (
  id uuid CONSTRAINT api_key_pkey PRIMARY KEY,
  account_id uuid NOT NULL CONSTRAINT api_key_account_id_fkey REFERENCES tollgate.account (id),
  name text NOT NULL,
  external_id text CONSTRAINT api_key_external_id_key UNIQUE,
  prefix text NOT NULL,
  last4 text NOT NULL,
  key_hash bytea NOT NULL CONSTRAINT api_key_key_hash_key UNIQUE,
  allowed_models text[],
  status text NOT NULL DEFAULT 'active',
  expires_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT api_key_status_known CHECK (status IN ('active', 'disabled', 'revoked'))
);
CREATE INDEX api_key_account_idx ON tollgate.api_key (account_id, id);

CREATE TABLE tollgate.operator_token (
  id uuid CONSTRAINT operator_token_pkey PRIMARY KEY,
  name text NOT NULL,
  token_hash bytea NOT NULL CONSTRAINT operator_token_token_hash_key UNIQUE,
  created_at timestamptz NOT NULL DEFAULT now(),
  last_used_at timestamptz,
  revoked_at timestamptz
);

CREATE TABLE tollgate.idempotency_record (
  account_id uuid NOT NULL,
  route text NOT NULL,
  key text NOT NULL,
  body_hash bytea NOT NULL,
  answer jsonb NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT idempotency_record_pkey PRIMARY KEY (account_id, route, key)
);

CREATE TABLE tollgate.audit_log (
  id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT audit_log_pkey PRIMARY KEY,
  actor text NOT NULL,
  action text NOT NULL,
  target text NOT NULL,
  before jsonb,
  after jsonb,
  request_id text,
  created_at timestamptz NOT NULL DEFAULT now()
);
`;

const CATALOG_VERSION = `
CREATE TABLE tollgate.catalog_version (
  singleton boolean NOT NULL DEFAULT true CONSTRAINT catalog_version_pkey PRIMARY KEY,
  version bigint NOT NULL,
  CONSTRAINT catalog_version_one_row CHECK (singleton)
);
INSERT INTO tollgate.catalog_version (version) VALUES (1);

CREATE FUNCTION tollgate.note_change() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = tollgate, pg_temp AS $$
DECLARE
  v_version bigint;
BEGIN
  UPDATE catalog_version SET version = version + 1 RETURNING version INTO v_version;
  PERFORM pg_notify('tollgate_changed', json_build_object('table', TG_TABLE_NAME, 'version', v_version::text)::text);
  RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION tollgate.note_change() FROM PUBLIC;

CREATE TRIGGER model_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON tollgate.model
  FOR EACH STATEMENT EXECUTE FUNCTION tollgate.note_change();
CREATE TRIGGER deployment_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON tollgate.deployment
  FOR EACH STATEMENT EXECUTE FUNCTION tollgate.note_change();
CREATE TRIGGER deployment_model_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON tollgate.deployment_model
  FOR EACH STATEMENT EXECUTE FUNCTION tollgate.note_change();
CREATE TRIGGER price_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON tollgate.price
  FOR EACH STATEMENT EXECUTE FUNCTION tollgate.note_change();
CREATE TRIGGER api_key_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON tollgate.api_key
  FOR EACH STATEMENT EXECUTE FUNCTION tollgate.note_change();
-- Not for money: posted, held and seq change with every request.
CREATE TRIGGER account_changed AFTER UPDATE OF name, status, plan, multiplier_ppm, floor ON tollgate.account
  FOR EACH STATEMENT EXECUTE FUNCTION tollgate.note_change();
`;
