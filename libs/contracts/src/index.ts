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
  USAGE_JOB_VERSIONS,
  USAGE_QUEUE,
  UnknownUsageJobVersionError,
  parseUsageJob,
  usageJobVersion,
  usageRetryDelayMs,
  type ParsedUsageJob,
  type UsageJob,
  type UsageJobVersion,
} from './usage-queue.js';
export { parseRequestId, requestIdToWire } from './request-id.js';
export { DIALECT_NAMES, parseDialectName, type DialectName } from './dialects/dialect-name.js';
