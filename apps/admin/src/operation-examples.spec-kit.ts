import { randomBytes, randomUUID } from 'node:crypto';
import { startFakeUpstream, usageEventOf, type FakeUpstream } from '@tollgate/testing';
import { v7 as uuidv7 } from 'uuid';
import { openAccount, type AdminUnderTest } from './admin.spec-kit.js';
import type { Call, Operation } from './operations.spec-kit.js';

/** What the examples are made in. */
export interface World {
  readonly admin: AdminUnderTest;
  readonly upstream: FakeUpstream;
  stop(): Promise<void>;
}

/** How one operation is called as it should be. */
export interface Example {
  /** Makes whatever the call needs, for this call alone. */
  readonly prepare: (world: World) => Promise<Call>;
  /** What the audit log calls the change, of those that change something. */
  readonly action?: string;
}

/** An operation without an example has no test: that is an error. */
export function exampleOf({ id }: Operation): Example {
  const example = EXAMPLES[id];
  if (example === undefined) throw new Error(`${id} needs an example in operation-examples.spec-kit.ts`);
  return example;
}

/** The ids of the operations that have an example. */
export function exampleIds(): string[] {
  return Object.keys(EXAMPLES);
}

export async function startWorld(admin: AdminUnderTest): Promise<World> {
  const upstream = await startFakeUpstream();
  return { admin, upstream, stop: () => upstream.stop() };
}

const RATES = { input: '1', output: '2' };
const NOTHING: Call = {};

async function make(admin: AdminUnderTest, path: string, body: object): Promise<any> {
  const { status, body: made } = await admin.call('POST', path, { body });
  if (status !== 201) throw new Error(`${path} answered ${status}: ${JSON.stringify(made)}`);
  return made;
}

async function makeModel({ admin }: World): Promise<string> {
  return (await make(admin, '/models', { id: `model-${randomUUID()}` })).id;
}

async function makeApiKey({ admin }: World): Promise<{ id: string; accountId: string }> {
  return make(admin, `/accounts/${await openAccount(admin)}/api-keys`, { name: 'laptop' });
}

async function makeDeployment(world: World): Promise<string> {
  const model = await makeModel(world);
  const body = { ...deploymentBody(world), models: [{ model }] };
  return (await make(world.admin, '/deployments', body)).id;
}

function deploymentBody({ upstream }: World): { name: string; baseUrl: string; credential: string } {
  return { name: `d-${randomUUID()}`, baseUrl: upstream.baseUrl, credential: `secret-${randomUUID()}` };
}

/** A record of usage, as billing would have written it. */
async function makeUsage({ admin }: World): Promise<string> {
  const requestId = uuidv7();
  await admin.owner.query(
    `INSERT INTO tollgate.usage_record (request_id, account_id, api_key_id, model, upstream_model, deployment_id,
       price_id, multiplier_ppm, units, billable, usage_source, outcome, cost, attempts, first_byte_ms, total_ms,
       finished_at, body_hash)
     VALUES ($1, $2, $2, 'm', 'up', NULL, $2, 1000000, '{"input": 7, "output": 3}', true, 'provider', 'completed',
       0, 1, 12, 34, now(), '')`,
    [requestId, randomUUID()],
  );
  return requestId;
}

/** A usage event in quarantine that can be settled now: what kept it from that is gone. */
async function makeDeadLetter(world: World): Promise<{ id: string; accountId: string }> {
  const { admin } = world;
  const accountId = await openAccount(admin, '5');
  const apiKey = await make(admin, `/accounts/${accountId}/api-keys`, { name: 'laptop' });
  const model = await makeModel(world);
  const price = await make(admin, '/prices', { model, rates: { input: '0.15', output: '0.6' } });
  const event = usageEventOf({
    accountId,
    apiKeyId: apiKey.id,
    apiKey: apiKey.key,
    model,
    priceId: price.id,
    deploymentIds: [],
  });
  const { rows } = await admin.owner.query(
    "INSERT INTO tollgate.quarantine (request_id, body_hash, reason, body) VALUES ($1, $2, 'cost_mismatch', $3) RETURNING id",
    [event.requestId, randomBytes(32), event],
  );
  return { id: rows[0].id, accountId };
}

/** A stop of an account whose books are right again. */
async function makeEscrowStop({ admin }: World): Promise<string> {
  const { rows } = await admin.owner.query(
    `INSERT INTO tollgate.escrow_stop (account_id, violations)
     VALUES ($1, '[{"invariant": "i", "ref": "r", "detail": "d"}]') RETURNING id`,
    [await openAccount(admin)],
  );
  return rows[0].id;
}

async function makeOperatorToken({ admin }: World): Promise<string> {
  return (await make(admin, '/operator-tokens', { name: `operator ${randomUUID()}` })).id;
}

const ofAccount = async ({ admin }: World, amount?: string): Promise<Call> => ({
  params: { id: await openAccount(admin, amount) },
});

const EXAMPLES: Readonly<Record<string, Example>> = {
  readVersion: { prepare: async () => NOTHING },
  readHealth: { prepare: async () => NOTHING },
  readMe: { prepare: async () => NOTHING },

  createAccount: {
    action: 'account.create',
    prepare: async () => ({ body: { name: 'Ada', externalId: randomUUID(), metadata: { a: 1 } } }),
  },
  listAccounts: { prepare: async (world) => ({ ...(await ofAccount(world)), params: {} }) },
  readAccount: { prepare: ofAccount },
  patchAccount: {
    action: 'account.update',
    prepare: async (world) => ({ ...(await ofAccount(world)), body: { name: 'Bob' } }),
  },

  createApiKey: {
    action: 'api_key.create',
    prepare: async (world) => ({ ...(await ofAccount(world)), body: { name: 'laptop' } }),
  },
  listApiKeysOfAccount: {
    prepare: async (world) => ({ params: { id: (await makeApiKey(world)).accountId } }),
  },
  listApiKeys: {
    prepare: async (world) => ({ query: { accountId: (await makeApiKey(world)).accountId } }),
  },
  readApiKey: { prepare: async (world) => ({ params: { id: (await makeApiKey(world)).id } }) },
  patchApiKey: {
    action: 'api_key.update',
    prepare: async (world) => ({
      params: { id: (await makeApiKey(world)).id },
      body: { status: 'disabled' },
    }),
  },
  revokeApiKey: {
    action: 'api_key.revoke',
    prepare: async (world) => ({ params: { id: (await makeApiKey(world)).id } }),
  },

  topUpAccount: {
    action: 'credits.top_up',
    prepare: async (world) => ({ ...(await ofAccount(world)), body: { amount: '5' } }),
  },
  listEscrowStops: { prepare: async () => NOTHING },
  readEscrowStop: { prepare: async (world) => ({ params: { id: await makeEscrowStop(world) } }) },
  clearEscrowStop: {
    action: 'escrow_stop.clear',
    prepare: async (world) => ({ params: { id: await makeEscrowStop(world) }, body: { note: 'set right' } }),
  },
  adjustAccount: {
    action: 'credits.grant',
    prepare: async (world) => ({ ...(await ofAccount(world)), body: { kind: 'grant', amount: '1' } }),
  },
  listTransfersOfAccount: { prepare: (world) => ofAccount(world, '5') },
  listTransfers: {
    prepare: async (world) => ({ ...(await ofAccount(world, '5')), query: { kind: 'top_up' } }),
  },
  exportTransfersOfAccount: { prepare: (world) => ofAccount(world, '5') },
  exportTransfers: {
    prepare: async (world) => ({ ...(await ofAccount(world, '5')), query: { format: 'csv' } }),
  },

  createModel: { action: 'model.create', prepare: async () => ({ body: { id: `model-${randomUUID()}` } }) },
  listModels: { prepare: async (world) => ({ query: { q: await makeModel(world) } }) },
  readModel: { prepare: async (world) => ({ params: { id: await makeModel(world) } }) },
  patchModel: {
    action: 'model.update',
    prepare: async (world) => ({ params: { id: await makeModel(world) }, body: { displayName: 'Model' } }),
  },
  deleteModel: {
    action: 'model.delete',
    prepare: async (world) => ({ params: { id: await makeModel(world) } }),
  },

  createDeployment: {
    action: 'deployment.create',
    prepare: async (world) => ({ body: deploymentBody(world) }),
  },
  listDeployments: {
    prepare: async (world) => {
      await makeDeployment(world);
      return NOTHING;
    },
  },
  readDeployment: { prepare: async (world) => ({ params: { id: await makeDeployment(world) } }) },
  patchDeployment: {
    action: 'deployment.update',
    prepare: async (world) => ({
      params: { id: await makeDeployment(world) },
      body: { name: `d-${randomUUID()}`, credential: `secret-${randomUUID()}` },
    }),
  },
  deleteDeployment: {
    action: 'deployment.delete',
    prepare: async (world) => ({ params: { id: await makeDeployment(world) } }),
  },
  testDeployment: {
    action: 'deployment.test',
    prepare: async (world) => ({ params: { id: await makeDeployment(world) }, body: { api: 'chat' } }),
  },

  createPrice: {
    action: 'price.create',
    prepare: async (world) => ({ body: { model: await makeModel(world), rates: RATES } }),
  },
  createPrices: {
    action: 'price.create',
    prepare: async (world) => ({ body: { prices: [{ model: await makeModel(world), rates: RATES }] } }),
  },
  listPrices: {
    prepare: async (world) => {
      const model = await makeModel(world);
      await make(world.admin, '/prices', { model, rates: RATES });
      return { query: { model } };
    },
  },
  readPrice: {
    prepare: async (world) => {
      const { id } = await make(world.admin, '/prices', { model: await makeModel(world), rates: RATES });
      return { params: { id } };
    },
  },

  listUsage: {
    prepare: async (world) => ({ query: { limit: '1' }, params: { id: await makeUsage(world) } }),
  },
  readUsage: { prepare: async (world) => ({ params: { requestId: await makeUsage(world) } }) },
  exportUsage: {
    prepare: async (world) => ({ query: { format: 'jsonl' }, params: { id: await makeUsage(world) } }),
  },

  createOperatorToken: {
    action: 'operator_token.create',
    prepare: async () => ({ body: { name: `operator ${randomUUID()}`, access: 'read' } }),
  },
  listOperatorTokens: { prepare: async () => ({ query: { status: 'active' } }) },
  readOperatorToken: { prepare: async (world) => ({ params: { id: await makeOperatorToken(world) } }) },
  patchOperatorToken: {
    action: 'operator_token.update',
    prepare: async (world) => ({ params: { id: await makeOperatorToken(world) }, body: { access: 'read' } }),
  },
  revokeOperatorToken: {
    action: 'operator_token.revoke',
    prepare: async (world) => ({ params: { id: await makeOperatorToken(world) } }),
  },

  readSettings: { prepare: async () => NOTHING },
  patchSettings: {
    action: 'settings.update',
    prepare: async () => ({ body: { points: { label: `p ${randomUUID()}` } } }),
  },

  listDeadLetters: {
    prepare: async (world) => ({ query: { accountId: (await makeDeadLetter(world)).accountId } }),
  },
  readDeadLetter: { prepare: async (world) => ({ params: { id: (await makeDeadLetter(world)).id } }) },
  replayDeadLetter: {
    action: 'dead_letter.replay',
    prepare: async (world) => ({ params: { id: (await makeDeadLetter(world)).id } }),
  },
  replayDeadLetters: {
    action: 'dead_letter.replay',
    prepare: async (world) => ({ body: { accountId: (await makeDeadLetter(world)).accountId } }),
  },
  correctDeadLetter: {
    action: 'dead_letter.correct',
    prepare: async (world) => ({
      params: { id: (await makeDeadLetter(world)).id },
      body: { event: { units: { input: 1 } }, note: 'counted by hand' },
    }),
  },
  discardDeadLetter: {
    action: 'dead_letter.discard',
    prepare: async (world) => ({ params: { id: (await makeDeadLetter(world)).id }, body: { note: 'lost' } }),
  },

  reportUsage: {
    prepare: async (world) => ({ query: { groupBy: 'day,model' }, params: { id: await makeUsage(world) } }),
  },
  reportRevenue: {
    prepare: async (world) => ({ ...(await ofAccount(world, '5')), query: { groupBy: 'month' } }),
  },

  exportAudit: { prepare: async (world) => ({ ...(await ofAccount(world)), query: { format: 'csv' } }) },
  listAudit: {
    prepare: async (world) => ({ query: { limit: '5' }, params: (await ofAccount(world)).params ?? {} }),
  },
};
