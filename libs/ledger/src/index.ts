export {
  adjust,
  type AdjustResult,
  type Adjustment,
  type AdjustmentKind,
  type BookedTransfer,
} from './adjust.js';
export { getBalance, type Balance } from './balance.js';
export { CostCheck } from './cost-check.js';
export {
  discardDeadLetter,
  replayDeadLetter,
  type DiscardResult,
  type ReplayResult,
} from './dead-letters.js';
export { expireHolds, type ExpiredHold } from './expire-holds.js';
export {
  HoldStoreUnavailableError,
  type HoldRequest,
  type HoldResult,
  type HoldStore,
} from './hold-store.js';
export { HOLD_TTL_SECONDS, PostgresHoldStore, type PostgresHoldStoreOptions } from './postgres-hold-store.js';
export { quarantineEvent, type QuarantinedEvent } from './quarantine-event.js';
export { setFloor, type SetFloorOutcome } from './set-floor.js';
export { settleBatch, type Settlement } from './settle-batch.js';
export { settleUsage } from './settle-usage.js';
export { SettlementMetrics } from './settlement-metrics.js';
export { poolSql, type Row, type Sql } from './sql.js';
