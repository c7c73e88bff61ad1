export { ConfigError, inheritedEnvironment, loadConfig, portSchema, processConfigSchema } from './config.js';
export { Health, type ReadinessCheck } from './health.js';
export { NestLogger, createLogger, type Logger } from './logger.js';
export { MasterKey, MasterKeyError } from './master-key.js';
export { connectQueues, type QueueConnectionOptions } from './queue-connection.js';
export { repeatTask, type RepeatedTask } from './repeated-task.js';
export { runProcess, type RunningProcess } from './start.js';
