import { CreateAccountsAndTheirLedger } from './1795219200000-CreateAccountsAndTheirLedger.js';
import { CreateCatalogKeysAndOperatorRecords } from './1795219260000-CreateCatalogKeysAndOperatorRecords.js';
import { AddUsageMonths } from './1795219320000-AddUsageMonths.js';
import { AddHolds } from './1795219380000-AddHolds.js';
import { AddSettling } from './1795219440000-AddSettling.js';
import { AddAdjustmentsAndTheLedgerCheck } from './1795219500000-AddAdjustmentsAndTheLedgerCheck.js';
import { AddDialects } from './1795219560000-AddDialects.js';
import { IndexUsageByKey } from './1795219620000-IndexUsageByKey.js';
import { AddDeletionAndFloors } from './1795219680000-AddDeletionAndFloors.js';
import { AddOperatorAccessAndSettings } from './1795219740000-AddOperatorAccessAndSettings.js';
import { AddDeadLetters } from './1795219760000-AddDeadLetters.js';
import { IndexReads } from './1795219800000-IndexReads.js';
import { AddInstallation } from './1795219860000-AddInstallation.js';
import { KeepAnswersAsTheyWere } from './1795219920000-KeepAnswersAsTheyWere.js';

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
  AddDeletionAndFloors,
  AddOperatorAccessAndSettings,
  AddDeadLetters,
  IndexReads,
  AddInstallation,
  KeepAnswersAsTheyWere,
] as const;

/** Their names, oldest first. The last one is the version of the schema. */
export const MIGRATION_NAMES: readonly string[] = MIGRATIONS.map((Migration) => new Migration().name);
