import { setTimeout as delay } from 'node:timers/promises';
import type { MasterKey } from '@tollgate/runtime';
import { Client } from 'pg';
import { DEMO_MODEL } from '../demo-upstream/demo-model.js';
import { AdminClient } from './admin-client.js';
import { DEMO_DEPLOYMENT, OPENAI_DEPLOYMENT, setUpDemoUpstream, setUpOpenAi } from './catalog-set-up.js';
import { setUpDemoAccount, type DemoAccount } from './first-run.js';
import { renewOperatorToken, revokeOperatorTokens } from './operator-tokens.js';
import { messageOf } from '../thrown.js';

/** The operator's own token, and the one that the launcher uses for a moment. */
const OPERATOR_TOKEN_NAME = 'First run';
const SET_UP_TOKEN_NAME = 'Set-up by the launcher';
const SALE_TIMEOUT_MS = 20_000;
const SALE_POLL_MS = 100;

export interface SetUpOptions {
  /** URL of the applications' role. */
  readonly databaseUrl: string;
  readonly masterKey: MasterKey;
  readonly adminOrigin: string;
  readonly gatewayOrigin: string;
  readonly demoUpstream: { readonly baseUrl: string; readonly secret: string };
  /** An OpenAI-compatible upstream to sell, null for none. */
  readonly openai: { readonly baseUrl: string; readonly apiKey: string } | null;
  /** False if an earlier start already showed the secrets. */
  readonly isFirstRun: boolean;
  readonly report: (message: string) => void;
}

/** What this start made and nobody has seen yet. */
export interface SetUpResult {
  readonly firstRun: (DemoAccount & { readonly operatorToken: string }) | null;
  /** Models of the OpenAI-compatible upstream if it was registered now, null if not. */
  readonly openaiModels: readonly string[] | null;
}

/** Brings an installation to what its settings ask for, through the admin process. Safe to repeat after any interruption. */
export async function setUp(options: SetUpOptions): Promise<SetUpResult> {
  const client = new Client({ connectionString: options.databaseUrl });
  client.on('error', () => undefined);
  await client.connect();
  try {
    await revokeOperatorTokens(client, SET_UP_TOKEN_NAME);
    await followDemoUpstream(client, options.demoUpstream.baseUrl);
    const wantsOpenAi = options.openai !== null && !(await hasDeployment(client, OPENAI_DEPLOYMENT));
    if (!options.isFirstRun && !wantsOpenAi) return { firstRun: null, openaiModels: null };
    return await setUpThroughAdmin({ ...options, client, openai: wantsOpenAi ? options.openai : null });
  } finally {
    await client.end();
  }
}

async function setUpThroughAdmin(options: SetUpOptions & { client: Client }): Promise<SetUpResult> {
  const { client, masterKey, isFirstRun, openai, report } = options;
  const token = await renewOperatorToken({ client, masterKey, name: SET_UP_TOKEN_NAME });
  const admin = new AdminClient(options.adminOrigin, token);
  try {
    const openaiModels = openai === null ? null : await tryOpenAi({ admin, openai, report });
    if (!isFirstRun) return { firstRun: null, openaiModels };
    await setUpDemoUpstream(admin, options.demoUpstream);
    const account = await setUpDemoAccount(admin);
    const operatorToken = await renewOperatorToken({ client, masterKey, name: OPERATOR_TOKEN_NAME });
    await waitUntilSold(options.gatewayOrigin, account.apiKey);
    return { firstRun: { ...account, operatorToken }, openaiModels };
  } finally {
    await revokeOperatorTokens(client, SET_UP_TOKEN_NAME);
  }
}

/** An upstream that cannot be registered keeps nobody from using the others. */
async function tryOpenAi(options: {
  admin: AdminClient;
  openai: { baseUrl: string; apiKey: string };
  report: (message: string) => void;
}): Promise<string[] | null> {
  try {
    return await setUpOpenAi(options.admin, options.openai);
  } catch (error) {
    options.report(`The upstream of OPENAI_API_KEY could not be registered: ${messageOf(error)}`);
    return null;
  }
}

/** The demo upstream may have been given another port since the last start. */
async function followDemoUpstream(client: Client, baseUrl: string): Promise<void> {
  await client.query(
    'UPDATE tollgate.deployment SET base_url = $2, updated_at = now() WHERE external_id = $1 AND base_url <> $2',
    [DEMO_DEPLOYMENT, baseUrl],
  );
}

async function hasDeployment(client: Client, externalId: string): Promise<boolean> {
  const { rowCount } = await client.query('SELECT FROM tollgate.deployment WHERE external_id = $1', [
    externalId,
  ]);
  return rowCount !== 0;
}

/** The gateway hears of the new key and model within a second: what is printed next has to work at once. */
async function waitUntilSold(gatewayOrigin: string, apiKey: string): Promise<void> {
  const deadlineMs = Date.now() + SALE_TIMEOUT_MS;
  while (Date.now() < deadlineMs) {
    if (await isSold(gatewayOrigin, apiKey)) return;
    await delay(SALE_POLL_MS);
  }
}

async function isSold(gatewayOrigin: string, apiKey: string): Promise<boolean> {
  try {
    const response = await fetch(new URL(`/v1/models/${DEMO_MODEL}`, gatewayOrigin), {
      headers: { authorization: `Bearer ${apiKey}` },
      signal: AbortSignal.timeout(SALE_TIMEOUT_MS),
    });
    await response.body?.cancel();
    return response.ok;
  } catch {
    return false;
  }
}
