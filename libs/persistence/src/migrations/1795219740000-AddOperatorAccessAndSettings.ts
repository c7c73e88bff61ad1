import { SqlMigration } from './sql-migration.js';

/** What operators may do, and what they set for the whole installation. */
export class AddOperatorAccessAndSettings extends SqlMigration {
  readonly name = 'AddOperatorAccessAndSettings1795219740000';
  protected readonly sql = `${OPERATOR_ACCESS}${SETTINGS}`;
}

/** Until now nothing kept two active tokens from having one name: all but the newest of them get their id behind it. */
const OPERATOR_ACCESS = `
ALTER TABLE tollgate.operator_token
  ADD COLUMN access text NOT NULL DEFAULT 'full',
  ADD COLUMN last4 text,
  ADD CONSTRAINT operator_token_access_known CHECK (access IN ('full', 'read'));

UPDATE tollgate.operator_token AS t SET name = t.name || ' ' || t.id
 WHERE t.revoked_at IS NULL AND EXISTS (SELECT FROM tollgate.operator_token AS newer
   WHERE newer.name = t.name AND newer.revoked_at IS NULL AND newer.id > t.id);
CREATE UNIQUE INDEX operator_token_active_name_key ON tollgate.operator_token (name) WHERE revoked_at IS NULL;
`;

const SETTINGS = `
CREATE TABLE tollgate.setting (
  singleton boolean NOT NULL DEFAULT true CONSTRAINT setting_pkey PRIMARY KEY,
  points_label text NOT NULL DEFAULT 'points',
  nano_per_point bigint NOT NULL DEFAULT 1000000000,
  empty_completions text NOT NULL DEFAULT 'free',
  dashboard_mode text NOT NULL DEFAULT 'month',
  no_credit_status int NOT NULL DEFAULT 429,
  updated_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT setting_one_row CHECK (singleton),
  CONSTRAINT setting_points_label_length CHECK (length(points_label) BETWEEN 1 AND 40),
  CONSTRAINT setting_nano_per_point_in_range CHECK (nano_per_point BETWEEN 1 AND 9000000000000000),
  CONSTRAINT setting_empty_completions_known CHECK (empty_completions IN ('free', 'charged')),
  CONSTRAINT setting_dashboard_mode_known CHECK (dashboard_mode IN ('month', 'lifetime')),
  CONSTRAINT setting_no_credit_status_known CHECK (no_credit_status IN (402, 429))
);
INSERT INTO tollgate.setting DEFAULT VALUES;
CREATE TRIGGER setting_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON tollgate.setting
  FOR EACH STATEMENT EXECUTE FUNCTION tollgate.note_change();
`;
