export { createTestDatabase, type TestDatabase } from './postgres/test-database.js';
export { behaviourSchema, type Behaviour, type BehaviourInput } from './fake-upstream/behaviour.js';
export { answerText } from './fake-upstream/chat-frames.js';
export { embeddingVector } from './fake-upstream/embedding-vectors.js';
export { findMarker, marker, type Delivery } from './fake-upstream/delivery.js';
export {
  startFakeUpstream,
  type FakeUpstream,
  type FakeUpstreamOptions,
} from './fake-upstream/fake-upstream.js';
export { connectFakeUpstream, spawnFakeUpstream } from './fake-upstream/remote-fake-upstream.js';
export {
  seedInstallation,
  type SeedOptions,
  type SeededInstallation,
} from './installation/seed-installation.js';
export { untilServed } from './installation/until-served.js';
export {
  startInstallation,
  type FirstRunSecrets,
  type Installation,
  type InstallationOptions,
  type InstallationPorts,
  type ProcessName,
} from './installation/installation.js';
export { describeWithRedis, hasRedis, startRedis, type TestRedis } from './redis/redis-server.js';
export {
  startTraceCollector,
  type CollectedSpan,
  type TraceCollector,
} from './trace-collector/trace-collector.js';
export { usageEventOf } from './installation/usage-event.js';
export { eventually } from './eventually.js';
export { LINEAR_GROWTH_MAX, timeGrowth } from './time-growth.js';
