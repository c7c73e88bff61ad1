export { createPool, type PoolOptions } from './pool.js';
export { createDataSource, SCHEMA, type DataSourceOptions } from './data-source.js';
export { migrate, QUEUE_SCHEMA, type MigrateOptions } from './migrate.js';
export { assertMasterKey, ensureMasterKey, type CheckedMasterKey } from './master-key-check.js';
export { MigrationError } from './migration-error.js';
export { assertSchemaVersion, refuseNewerSchema, SchemaVersionError } from './schema-version.js';
export { AccountEntity, type AccountStatus } from './entities/account.entity.js';
export { ApiKeyEntity, type ApiKeyStatus } from './entities/api-key.entity.js';
export { AuditLogEntity } from './entities/audit-log.entity.js';
export { CatalogVersionEntity } from './entities/catalog-version.entity.js';
export { DeploymentModelEntity } from './entities/deployment-model.entity.js';
export {
  DeploymentEntity,
  type DeploymentProvider,
  type DeploymentStatus,
} from './entities/deployment.entity.js';
export { EscrowStopEntity } from './entities/escrow-stop.entity.js';
export { IdempotencyRecordEntity } from './entities/idempotency-record.entity.js';
export { ModelEntity } from './entities/model.entity.js';
export { OperatorTokenEntity, type OperatorAccess } from './entities/operator-token.entity.js';
export { PriceEntity } from './entities/price.entity.js';
export { DeadLetterDecisionEntity, type DeadLetterOutcome } from './entities/dead-letter-decision.entity.js';
export { QuarantineEntity } from './entities/quarantine.entity.js';
export {
  ReservationEntity,
  type ReservationKind,
  type ReservationState,
} from './entities/reservation.entity.js';
export {
  DASHBOARD_MODES,
  EMPTY_COMPLETIONS,
  NO_CREDIT_STATUSES,
  SettingEntity,
  type DashboardMode,
  type EmptyCompletions,
  type NoCreditStatus,
} from './entities/setting.entity.js';
export { TransferEntity, type TransferKind } from './entities/transfer.entity.js';
export { UsageRecordEntity } from './entities/usage-record.entity.js';
export { findApiKeyByHash, type ApiKeyRow } from './api-key-row.js';
export {
  loadCatalogRows,
  readCatalogVersion,
  type CatalogRows,
  type DeploymentModelRow,
  type DeploymentRow,
  type ModelRow,
} from './catalog-rows.js';
export {
  listenForChanges,
  type Change,
  type ChangeListener,
  type ChangeListenerOptions,
} from './change-listener.js';
export {
  OPERATOR_TOKEN_USE,
  makeOperatorToken,
  renewOperatorToken,
  revokeOperatorToken,
  type MadeOperatorToken,
  type NewOperatorToken,
  type RunStatement,
} from './operator-tokens.js';
export { scramVerifier } from './scram-verifier.js';
export { readPrice } from './price-row.js';
export { readSnapshot, type Connection } from './read-snapshot.js';
export { DEFAULT_SETTINGS, type Settings } from './settings.js';
export { lowestRequestId, requestIdTime } from './request-id-time.js';
export { readApiKeyProfile, type ApiKeyProfile } from './api-key-profile.js';
export {
  findUsageRow,
  listUsageRows,
  type UsageListing,
  type UsageOwner,
  type UsageRow,
} from './usage-rows.js';
export { listCharged, sumCharged, type ChargedRow, type ChargedSum, type Span } from './charged-rows.js';
export { readCredits, type CreditRow, type Credits } from './credit-rows.js';
export { countOpenDeadLetters } from './book-checks.js';
export { ensureUsageMonths } from './usage-months.js';
