import { SqlMigration } from './sql-migration.js';

/**
 * What operators look for in usage, transfers and the audit log. `usage_record` and `transfer` are written with every
 * request, so what is searched there for the few rows that are not as most are has an index of those rows alone, and
 * times of transfers, which rise with the table, a block range index.
 */
export class IndexReads extends SqlMigration {
  readonly name = 'IndexReads1795219800000';
  protected readonly sql = SQL;
}

const SQL = `
CREATE INDEX usage_record_model_idx ON tollgate.usage_record (model, request_id);
CREATE INDEX usage_record_deployment_idx ON tollgate.usage_record (deployment_id, request_id);
CREATE INDEX usage_record_failed_idx ON tollgate.usage_record (outcome, request_id) WHERE outcome <> 'completed';
CREATE INDEX usage_record_guessed_idx ON tollgate.usage_record (usage_source, request_id) WHERE usage_source <> 'provider';

CREATE INDEX transfer_kind_idx ON tollgate.transfer (kind, id) WHERE kind NOT IN ('usage', 'absorbed');
CREATE INDEX transfer_account_kind_idx ON tollgate.transfer (account_id, kind, account_seq)
  WHERE kind NOT IN ('usage', 'absorbed');
CREATE INDEX transfer_created_at_idx ON tollgate.transfer USING brin (created_at) WITH (pages_per_range = 32, autosummarize = on);

CREATE INDEX audit_log_actor_idx ON tollgate.audit_log (actor, id);
CREATE INDEX audit_log_action_idx ON tollgate.audit_log (action, id);
CREATE INDEX audit_log_target_idx ON tollgate.audit_log (target, id);
CREATE INDEX audit_log_request_idx ON tollgate.audit_log (request_id);
CREATE INDEX audit_log_created_at_idx ON tollgate.audit_log (created_at);

-- The application has no right to change a row; this keeps the owner from doing it by mistake.
CREATE FUNCTION tollgate.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'rows of % are never changed or deleted', TG_TABLE_NAME USING ERRCODE = '42501';
END $$;
REVOKE ALL ON FUNCTION tollgate.refuse_change() FROM PUBLIC;
CREATE TRIGGER audit_log_never_changes BEFORE UPDATE OR DELETE OR TRUNCATE ON tollgate.audit_log
  FOR EACH STATEMENT EXECUTE FUNCTION tollgate.refuse_change();
`;
