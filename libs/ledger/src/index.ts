export {
  adjust,
  type AdjustResult,
  type Adjustment,
  type AdjustmentKind,
  type BookedTransfer,
} from './adjust.js';
export { getBalance, type Balance } from './balance.js';
export {
  checkBooks,
  clearEscrowStop,
  readBookState,
  type BookPass,
  type BookState,
  type ClearOutcome,
  type Violation,
  type WrongAccount,
} from './book-check.js';
export { CostCheck } from './cost-check.js';
export { closeDays, listClosedDays, verifyDay, type ClosedDay } from './day-close.js';
export {
  correctDeadLetter,
  discardDeadLetter,
  replayDeadLetter,
  type DiscardResult,
  type ReplayResult,
  type UsageCorrection,
} from './dead-letters.js';
export {
  openEscrows,
  pocketsWithoutEscrow,
  sumEscrows,
  surveyPockets,
  withoutPocket,
  type EscrowTotal,
  type SurveyedPocket,
} from './escrow-drift.js';
export {
  dueEscrows,
  finishEscrows,
  readStillHeld,
  returnEscrows,
  shutEscrow,
  takeBackAll,
  takingBack,
  type EscrowOf,
  type FinishedEscrow,
  type PocketRest,
  type PocketShutter,
  type ReleaseShut,
  type StillHeld,
} from './escrow-return.js';
export { expireHolds, type ExpireHoldsOptions, type ExpiredHold } from './expire-holds.js';
export { PostgresEscrowLedger, type EscrowGrant, type EscrowLedger } from './escrow-ledger.js';
export {
  HOLD_TTL_SECONDS,
  HoldStoreUnavailableError,
  type HoldRequest,
  type HoldResult,
  type HoldStore,
  type TouchOutcome,
  type TouchedHold,
} from './hold-store.js';
export { knownRequests } from './known-requests.js';
export { PostgresHoldStore, type PostgresHoldStoreOptions } from './postgres-hold-store.js';
export { purgeReservations } from './purge-reservations.js';
export { quarantineEvent, type QuarantinedEvent } from './quarantine-event.js';
export { FailoverHoldStore, type FailoverHoldStoreOptions } from './redis/failover-hold-store.js';
export { RedisAwayError, connectHoldRedis, type HoldRedis } from './redis/hold-redis.js';
export { SHARD_COUNT, pocketKeys } from './redis/pocket-keys.js';
export { RedisHoldStore } from './redis/redis-hold-store.js';
export { RedisPockets, type RedisHistory } from './redis/redis-pockets.js';
export { RedisHoldsError, testRedisForHolds } from './redis/redis-self-test.js';
export { setFloor, type SetFloorOutcome } from './set-floor.js';
export { settleBatch, type Settlement } from './settle-batch.js';
export {
  closeSweptHolds,
  settleSwept,
  sweptUsage,
  type OverdueHold,
  type SweptHold,
} from './settle-swept.js';
export { settleUsage } from './settle-usage.js';
export { SettlementMetrics } from './settlement-metrics.js';
export { poolSql, type Row, type Sql } from './sql.js';
