import { SqlMigration } from './sql-migration.js';

/** The usage of one API key, newest first: without it a key with few rows reads all of its account's. */
export class IndexUsageByKey extends SqlMigration {
  readonly name = 'IndexUsageByKey1795219620000';
  protected readonly sql =
    'CREATE INDEX usage_record_api_key_idx ON tollgate.usage_record (api_key_id, request_id)';
}
