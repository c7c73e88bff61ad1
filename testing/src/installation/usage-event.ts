import type { UsageEvent } from '@tollgate/contracts';
import { v7 as uuidv7 } from 'uuid';
import type { SeededInstallation } from './seed-installation.js';

/** A usage event of a seeded installation as its gateway would publish it: 10 tokens each way at the default rates. */
export function usageEventOf(seeded: SeededInstallation, overrides: Partial<UsageEvent> = {}): UsageEvent {
  return {
    requestId: uuidv7(),
    accountId: seeded.accountId,
    apiKeyId: seeded.apiKeyId,
    model: seeded.model,
    upstreamModel: `upstream-${seeded.model}`,
    deploymentId: seeded.deploymentIds[0] ?? null,
    priceId: seeded.priceId,
    multiplierPpm: 1_000_000,
    units: { input: 10, output: 10 },
    billable: true,
    costNano: '7500',
    usageSource: 'provider',
    outcome: 'completed',
    attempts: 1,
    firstByteMs: 1,
    totalMs: 2,
    finishedAt: new Date().toISOString(),
    ...overrides,
  };
}
