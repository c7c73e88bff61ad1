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
import { AddEscrows } from './1795219980000-AddEscrows.js';
import { AddSweeping } from './1795219981000-AddSweeping.js';
import { AddReconciling } from './1795219982000-AddReconciling.js';
import { AddDayCloses } from './1795219983000-AddDayCloses.js';
import { QuickenSettling } from './1795219984000-QuickenSettling.js';
import { AddGrantBatch } from './1795219985000-AddGrantBatch.js';
import { EndForgottenHolds } from './1795219986000-EndForgottenHolds.js';
import { SettleFromOwnHolds } from './1795219987000-SettleFromOwnHolds.js';
import { FindHoldsByKey } from './1795219988000-FindHoldsByKey.js';

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
  AddEscrows,
  AddSweeping,
  AddReconciling,
  AddDayCloses,
  QuickenSettling,
  AddGrantBatch,
  EndForgottenHolds,
  SettleFromOwnHolds,
  FindHoldsByKey,
] as const;

/** Their names, oldest first. The last one is the version of the schema. */
export const MIGRATION_NAMES: readonly string[] = MIGRATIONS.map((Migration) => new Migration().name);
