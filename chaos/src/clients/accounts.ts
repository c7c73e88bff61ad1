import type { Operator } from '../operations/operator.js';

/** How an account is meant to fare. */
export type Means =
  /** It never runs out: no request of it may be refused for money. */
  | 'ample'
  /** It runs out again and again, and is topped up. */
  | 'tight'
  /** What it was given is all that it gets. */
  | 'spent once'
  /** It may owe: its floor is below zero. */
  | 'credit line';

/** One account of the run. */
export interface ChaosAccount {
  readonly id: string;
  readonly name: string;
  readonly apiKey: string;
  readonly means: Means;
  readonly multiplierPpm: number;
}

/** A model that is sold, and what its price is made of. */
export interface SoldModel {
  readonly model: string;
  /** Credits per million tokens, as the first price has them. */
  readonly inputRate: string;
  readonly outputRate: string;
}

/** Odd rates: a cost that is a whole number of nano-credits by chance would hide a wrong rounding. */
export const MODELS: readonly SoldModel[] = [
  { model: 'chaos-small', inputRate: '0.150007', outputRate: '0.600013' },
  { model: 'chaos-large', inputRate: '2.500011', outputRate: '10.000019' },
];

const COUNTS: Readonly<Record<Means, number>> = { ample: 16, tight: 12, 'spent once': 6, 'credit line': 4 };
const MULTIPLIERS: readonly (readonly [string, number])[] = [
  ['1', 1_000_000],
  ['1.25', 1_250_000],
  ['0.333333', 333_333],
];
/** Credits. A hold of chaos-small takes about 0.0002, one of chaos-large 0.004. */
const FIRST_TOP_UP: Readonly<Record<Means, string>> = {
  ample: '1000',
  tight: '0.002',
  'spent once': '0.01',
  'credit line': '0.001',
};
const CREDIT_LINE_FLOOR = '-0.03';
const CATALOG_WAIT_MS = 30_000;

/** Sells the models and opens the accounts over the admin API. */
export async function openAccounts(operator: Operator, baseUrl: string): Promise<ChaosAccount[]> {
  for (const { model, inputRate, outputRate } of MODELS) {
    await operator.done('POST', '/models', { id: model });
    await operator.done('POST', '/prices', { model, rates: { input: inputRate, output: outputRate } });
  }
  await operator.done('POST', '/deployments', {
    name: 'upstream',
    provider: 'openai',
    baseUrl,
    credential: 'upstream-secret',
    models: MODELS.map(({ model }) => ({ model })),
  });
  const accounts: ChaosAccount[] = [];
  for (const [means, count] of Object.entries(COUNTS) as [Means, number][]) {
    for (let number = 1; number <= count; number += 1) {
      accounts.push(await openAccount(operator, { means, number }));
    }
  }
  return accounts;
}

/** Waits until a gateway sells all models. */
export async function untilSold(gatewayOrigin: string, apiKey: string): Promise<void> {
  const deadlineMs = Date.now() + CATALOG_WAIT_MS;
  for (;;) {
    const response = await fetch(`${gatewayOrigin}/v1/models`, {
      headers: { authorization: `Bearer ${apiKey}` },
    });
    const text = await response.text();
    if (MODELS.every(({ model }) => text.includes(`"${model}"`))) return;
    if (Date.now() > deadlineMs) throw new Error(`the gateway does not sell: ${text}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function openAccount(
  operator: Operator,
  { means, number }: { means: Means; number: number },
): Promise<ChaosAccount> {
  const [multiplier, multiplierPpm] = MULTIPLIERS[number % MULTIPLIERS.length] ?? ['1', 1_000_000];
  const name = `${means} ${number}`;
  const floor = means === 'credit line' ? CREDIT_LINE_FLOOR : '0';
  const { id } = await operator.done('POST', '/accounts', { name, multiplier, floor });
  await operator.done('POST', `/accounts/${id}/top-ups`, { amount: FIRST_TOP_UP[means] });
  const { key } = await operator.done('POST', `/accounts/${id}/api-keys`, { name });
  return { id, name, apiKey: key, means, multiplierPpm };
}
