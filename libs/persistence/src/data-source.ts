import { DataSource } from 'typeorm';
import { AccountEntity } from './entities/account.entity.js';
import { ApiKeyEntity } from './entities/api-key.entity.js';
import { AuditLogEntity } from './entities/audit-log.entity.js';
import { CatalogVersionEntity } from './entities/catalog-version.entity.js';
import { DeadLetterDecisionEntity } from './entities/dead-letter-decision.entity.js';
import { DeploymentModelEntity } from './entities/deployment-model.entity.js';
import { DeploymentEntity } from './entities/deployment.entity.js';
import { EscrowStopEntity } from './entities/escrow-stop.entity.js';
import { IdempotencyRecordEntity } from './entities/idempotency-record.entity.js';
import { InstallationEntity } from './entities/installation.entity.js';
import { ModelEntity } from './entities/model.entity.js';
import { OperatorTokenEntity } from './entities/operator-token.entity.js';
import { PriceEntity } from './entities/price.entity.js';
import { QuarantineEntity } from './entities/quarantine.entity.js';
import { ReservationEntity } from './entities/reservation.entity.js';
import { SettingEntity } from './entities/setting.entity.js';
import { TransferEntity } from './entities/transfer.entity.js';
import { UsageRecordEntity } from './entities/usage-record.entity.js';
import { MIGRATIONS } from './migrations/migration-list.js';
import { SnakeNamingStrategy } from './snake-naming-strategy.js';

/** Our schema; BullMQ keeps its own. */
export const SCHEMA = 'tollgate';

/** The table in it that lists the migrations that ran. */
export const MIGRATION_TABLE = 'schema_migration';

const ENTITIES = [
  AccountEntity,
  ApiKeyEntity,
  AuditLogEntity,
  CatalogVersionEntity,
  DeadLetterDecisionEntity,
  DeploymentEntity,
  DeploymentModelEntity,
  EscrowStopEntity,
  IdempotencyRecordEntity,
  InstallationEntity,
  ModelEntity,
  OperatorTokenEntity,
  PriceEntity,
  QuarantineEntity,
  ReservationEntity,
  SettingEntity,
  TransferEntity,
  UsageRecordEntity,
];

export interface DataSourceOptions {
  /** Most connections that it opens; 4 unless told. */
  readonly max?: number;
  /** Shown by Postgres as the name of the connections. */
  readonly name?: string;
  /** The server gives a statement up after so long; never unless told. */
  readonly statementTimeoutMs?: number;
}

/** TypeORM's data source for admin's reads and writes. It never changes the schema: `migrate` does. Not connected yet. */
export function createDataSource(url: string, options: DataSourceOptions = {}): DataSource {
  return new DataSource({
    type: 'postgres',
    url,
    schema: SCHEMA,
    entities: ENTITIES,
    migrations: [...MIGRATIONS],
    migrationsTableName: MIGRATION_TABLE,
    // One that fails takes those before it back: the version before still runs on the data.
    migrationsTransactionMode: 'all',
    migrationsRun: false,
    synchronize: false,
    namingStrategy: new SnakeNamingStrategy(),
    applicationName: options.name ?? 'tollgate',
    poolSize: options.max ?? 4,
    connectTimeoutMS: 5_000,
    installExtensions: false,
    extra: {
      keepAlive: true,
      keepAliveInitialDelayMillis: 10_000,
      ...(options.statementTimeoutMs !== undefined && { statement_timeout: options.statementTimeoutMs }),
    },
    // An idle connection that dies is replaced with the next query; without a handler it would end the process.
    poolErrorHandler: () => undefined,
  });
}
