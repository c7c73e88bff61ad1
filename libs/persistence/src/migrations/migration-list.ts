import { CreateAccountsAndTheirLedger } from './1795219200000-CreateAccountsAndTheirLedger.js';
import { CreateCatalogKeysAndOperatorRecords } from './1795219260000-CreateCatalogKeysAndOperatorRecords.js';
import { AddUsageMonths } from './1795219320000-AddUsageMonths.js';
import { AddHolds } from './1795219380000-AddHolds.js';
import { AddSettling } from './1795219440000-AddSettling.js';
import { AddAdjustmentsAndTheLedgerCheck } from './1795219500000-AddAdjustmentsAndTheLedgerCheck.js';
import { AddDialects } from './1795219560000-AddDialects.js';
import { IndexUsageByKey } from './1795219620000-IndexUsageByKey.js';

/** Every migration, oldest first. */
export const MIGRATIONS = [
  CreateAccountsAndTheirLedger,
  CreateCatalogKeysAndOperatorRecords,
  AddUsageMonths,
  AddHolds,
  AddSettling,
  AddAdjustmentsAndTheLedgerCheck,
  AddDialects,
  IndexUsageByKey,
] as const;

/** Their names, oldest first. The last one is the version of the schema. */
export const MIGRATION_NAMES: readonly string[] = MIGRATIONS.map((Migration) => new Migration().name);
