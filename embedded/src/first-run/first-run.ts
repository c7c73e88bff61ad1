import { z } from 'zod';
import type { AdminClient } from './admin-client.js';

const ACCOUNT_EXTERNAL_ID = 'demo';
const API_KEY_NAME = 'First run';
const DEMO_CREDITS = '5';

/** What the first run made for the operator to try. */
export interface DemoAccount {
  readonly accountId: string;
  /** The API key itself, shown once. */
  readonly apiKey: string;
}

const accountAnswer = z.object({ id: z.string() });
const keyListAnswer = z.object({
  data: z.array(z.object({ id: z.string(), name: z.string(), status: z.string() })),
});

/**
 * Makes the demo account with 5 credits and an API key. Every step finds what an interrupted first run made; a key that
 * nobody saw is revoked and made anew.
 */
export async function setUpDemoAccount(admin: AdminClient): Promise<DemoAccount> {
  const account = await admin.findOrCreate({
    find: `/accounts?externalId=${ACCOUNT_EXTERNAL_ID}`,
    create: '/accounts',
    body: { name: 'Demo', externalId: ACCOUNT_EXTERNAL_ID },
    answer: accountAnswer,
  });
  const path = `/accounts/${account.id}`;
  // The same key gives the same top-up, however often the first run starts.
  await admin.call({
    path: `${path}/top-ups`,
    body: { amount: DEMO_CREDITS, note: 'credits of the first run' },
    idempotencyKey: 'first-run',
    answer: z.unknown(),
  });
  const { data } = await admin.call({ path: `${path}/api-keys`, answer: keyListAnswer });
  for (const { id } of data.filter(({ name, status }) => name === API_KEY_NAME && status !== 'revoked')) {
    await admin.call({ path: `/api-keys/${id}`, method: 'DELETE', answer: z.unknown() });
  }
  const { key } = await admin.call({
    path: `${path}/api-keys`,
    body: { name: API_KEY_NAME },
    answer: z.object({ key: z.string() }),
  });
  return { accountId: account.id, apiKey: key };
}
