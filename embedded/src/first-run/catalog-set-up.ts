import { z } from 'zod';
import {
  DEMO_CONTEXT_TOKENS,
  DEMO_CREDENTIAL,
  DEMO_MODEL,
  DEMO_OUTPUT_TOKENS_MAX,
} from '../demo-upstream/demo-model.js';
import { AdminCallError, type AdminClient } from './admin-client.js';
import { LIST_PRICES, type ListPrice } from './list-prices-2026-11.js';

const idAnswer = z.object({ id: z.string() });
const UPSTREAM_TIMEOUT_MS = 10_000;

const demoPrice: ListPrice = {
  model: DEMO_MODEL,
  contextTokens: DEMO_CONTEXT_TOKENS,
  outputTokensMax: DEMO_OUTPUT_TOKENS_MAX,
  input: '0.5',
  cachedInput: '0.25',
  output: '1.5',
};

/** The external ids by which a start recognises what an earlier one made. */
export const DEMO_DEPLOYMENT = 'demo-upstream';
export const OPENAI_DEPLOYMENT = 'openai';

/** Sells the demo upstream's model. What is there already stays. */
export async function setUpDemoUpstream(admin: AdminClient, baseUrl: string): Promise<void> {
  await ensureModel(admin, demoPrice, 'tollgate-demo');
  await ensureDeployment(admin, {
    externalId: DEMO_DEPLOYMENT,
    name: 'Demo upstream',
    baseUrl,
    credential: DEMO_CREDENTIAL,
    models: [DEMO_MODEL],
  });
}

/**
 * Sells the listed models that an OpenAI-compatible upstream has, at list prices. An upstream that does not tell its
 * models is believed to have them all.
 */
export async function setUpOpenAi(
  admin: AdminClient,
  upstream: { baseUrl: string; apiKey: string },
): Promise<string[]> {
  const offered = await listModels(upstream);
  const prices = LIST_PRICES.filter(({ model }) => offered === null || offered.has(model));
  for (const price of prices) await ensureModel(admin, price, 'openai');
  const models = prices.map(({ model }) => model);
  await ensureDeployment(admin, {
    externalId: OPENAI_DEPLOYMENT,
    name: 'OpenAI',
    baseUrl: upstream.baseUrl,
    credential: upstream.apiKey,
    models,
  });
  return models;
}

async function ensureModel(admin: AdminClient, price: ListPrice, ownedBy: string): Promise<void> {
  const { model, contextTokens, outputTokensMax, input, cachedInput, output } = price;
  await unlessTaken(() =>
    admin.call({
      path: '/models',
      body: { id: model, ownedBy, contextTokens, outputTokensMax },
      answer: idAnswer,
    }),
  );
  await admin.findOrCreate({
    find: `/prices?model=${encodeURIComponent(model)}&plan=default&limit=1`,
    create: '/prices',
    body: { model, rates: { input, cachedInput, output } },
    answer: idAnswer,
  });
}

async function ensureDeployment(
  admin: AdminClient,
  deployment: {
    externalId: string;
    name: string;
    baseUrl: string;
    credential: string;
    models: readonly string[];
  },
): Promise<void> {
  await admin.findOrCreate({
    find: `/deployments?externalId=${deployment.externalId}`,
    create: '/deployments',
    body: { ...deployment, models: deployment.models.map((model) => ({ model })) },
    answer: idAnswer,
  });
}

async function unlessTaken(create: () => Promise<unknown>): Promise<void> {
  try {
    await create();
  } catch (error) {
    if (!(error instanceof AdminCallError) || error.code !== 'name_taken') throw error;
  }
}

const modelListSchema = z.object({ data: z.array(idAnswer) });

/** The ids of an upstream's models; null if it does not tell. */
async function listModels(upstream: { baseUrl: string; apiKey: string }): Promise<Set<string> | null> {
  try {
    const response = await fetch(`${upstream.baseUrl.replace(/\/$/, '')}/models`, {
      headers: { authorization: `Bearer ${upstream.apiKey}` },
      signal: AbortSignal.timeout(UPSTREAM_TIMEOUT_MS),
    });
    if (!response.ok) return null;
    return new Set(modelListSchema.parse(await response.json()).data.map(({ id }) => id));
  } catch {
    return null;
  }
}
