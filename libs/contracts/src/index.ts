export {
  OUTCOMES,
  USAGE_SOURCES,
  usageEventSchema,
  type Outcome,
  type UsageEvent,
  type UsageSource,
} from './usage-event.js';
export {
  USAGE_JOB,
  USAGE_JOB_OPTIONS,
  USAGE_JOB_EVENTS_MAX,
  USAGE_JOB_VERSION,
  USAGE_QUEUE,
  UnknownUsageJobVersionError,
  parseUsageJob,
  usageRetryDelayMs,
  type ParsedUsageJob,
  type UsageJob,
} from './usage-queue.js';
export { parseRequestId, requestIdToWire } from './request-id.js';
export { DIALECT_NAMES, parseDialectName, type DialectName } from './dialects/dialect-name.js';
