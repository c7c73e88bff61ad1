export {
  ConfigError,
  EXIT_CONFIG,
  inheritedEnvironment,
  loadConfig,
  portSchema,
  postgresUrlSchema,
  processConfigSchema,
} from './config.js';
export { Health, type ReadinessCheck } from './health.js';
export { NestLogger, createLogger, type Logger } from './logger.js';
export { MasterKey, MasterKeyError } from './master-key.js';
export { connectQueues, type QueueConnectionOptions } from './queue-connection.js';
export { RedisError, assertRedisUsable, type RedisCheckOptions } from './redis-check.js';
export { CounterFamily, type Counter } from './metrics/counter-family.js';
export { HistogramFamily, type Histogram } from './metrics/histogram-family.js';
export { LATENCY_BOUNDS_SECONDS } from './metrics/latency-bounds.js';
export { ProcessMetrics, type CountedPool, type GaugeOptions } from './metrics/process-metrics.js';
export { METRICS_PATH, serveMetrics, type MetricsAccess } from './metrics/serve-metrics.js';
export { NO_SPAN, within, type Span, type SpanAttributes, type SpanOptions } from './tracing/span.js';
export type { RootOptions, TracedProcess, Tracing } from './tracing/traced-process.js';
export { NO_TRACING, callersContext, startTracing } from './tracing/tracing.js';
export type { TracingConfig } from './tracing/tracing-config.js';
export { repeatTask, type RepeatedTask } from './repeated-task.js';
export { faultPoint } from './fault-points.js';
export { scaledMs, scaledSeconds } from './time-scale.js';
export { writeDurably } from './write-durably.js';
export { runProcess, type RunningProcess } from './start.js';
