import { setTimeout as delay } from 'node:timers/promises';
import {
  OPERATOR_TOKEN_USE,
  renewOperatorToken,
  revokeOperatorToken,
  type RunStatement,
} from '@tollgate/persistence';
import type { MasterKey } from '@tollgate/runtime';
import { Client } from 'pg';
import { DEMO_CREDENTIAL, DEMO_MODEL } from '../demo-upstream/demo-model.js';
import { AdminClient } from './admin-client.js';
import { DEMO_DEPLOYMENT, OPENAI_DEPLOYMENT, setUpDemoUpstream, setUpOpenAi } from './catalog-set-up.js';
import { setUpDemoAccount, type DemoAccount } from './first-run.js';
import { compareDeployment, followDeployment, type WantedDeployment } from './known-deployments.js';
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
  /** Null where the demo upstream is switched off: then there is nothing to try, and no account to try it with. */
  readonly demoUpstreamUrl: string | null;
  /** An OpenAI-compatible upstream to sell, null for none. */
  readonly openai: { readonly baseUrl: string; readonly apiKey: string } | null;
  /** False if an earlier start already showed the secrets. */
  readonly isFirstRun: boolean;
  readonly report: (message: string) => void;
}

/** What this start made and nobody has seen yet. */
export interface SetUpResult {
  readonly firstRun: FirstRunResult | null;
  /** Models of the OpenAI-compatible upstream if it was registered now, null if not. */
  readonly openaiModels: readonly string[] | null;
}

/** What a first run made, for its operator's eyes. */
export interface FirstRunResult {
  readonly operatorToken: string;
  /** Null without a demo upstream. */
  readonly demo: DemoAccount | null;
}

/** Brings an installation to what its settings ask for, through the admin process. Safe to repeat after any interruption. */
export async function setUp(options: SetUpOptions): Promise<SetUpResult> {
  const client = new Client({ connectionString: options.databaseUrl });
  client.on('error', () => undefined);
  await client.connect();
  try {
    await revokeOperatorToken(statementsOf(client), SET_UP_TOKEN_NAME);
    const tasks = await findTasks({ ...options, client });
    if (!options.isFirstRun && !tasks.sellOpenAi && tasks.changed.length === 0) {
      return { firstRun: null, openaiModels: null };
    }
    return await setUpThroughAdmin({ ...options, client, tasks });
  } finally {
    await client.end();
  }
}

/** What is to be done beside a first run. */
interface Tasks {
  readonly sellOpenAi: boolean;
  /** Deployments of earlier starts that the environment now wants otherwise. */
  readonly changed: readonly { readonly id: string; readonly wanted: WantedDeployment }[];
}

async function findTasks(options: SetUpOptions & { client: Client }): Promise<Tasks> {
  const { client, masterKey, demoUpstreamUrl, openai } = options;
  const wanted: WantedDeployment[] = [];
  if (demoUpstreamUrl !== null) {
    wanted.push({ externalId: DEMO_DEPLOYMENT, baseUrl: demoUpstreamUrl, credential: DEMO_CREDENTIAL });
  }
  if (openai !== null) {
    wanted.push({ externalId: OPENAI_DEPLOYMENT, baseUrl: openai.baseUrl, credential: openai.apiKey });
  }
  const known = [];
  for (const one of wanted) {
    known.push({ wanted: one, found: await compareDeployment(client, masterKey, one) });
  }
  return {
    sellOpenAi: known.some(
      ({ wanted: { externalId }, found }) => externalId === OPENAI_DEPLOYMENT && found.state === 'absent',
    ),
    changed: known.flatMap(({ wanted: one, found }) =>
      found.state === 'different' ? [{ id: found.id, wanted: one }] : [],
    ),
  };
}

async function setUpThroughAdmin(
  options: SetUpOptions & { client: Client; tasks: Tasks },
): Promise<SetUpResult> {
  const { client, masterKey, isFirstRun, openai, tasks, report } = options;
  const run = statementsOf(client);
  const renewToken = async (name: string): Promise<string> => {
    const hashToken = (token: string): Buffer => masterKey.hashSecret(OPERATOR_TOKEN_USE, token);
    return (await renewOperatorToken(run, { name, access: 'full', hashToken })).token;
  };
  const admin = new AdminClient(options.adminOrigin, await renewToken(SET_UP_TOKEN_NAME));
  try {
    for (const { id, wanted } of tasks.changed) await tryToFollow({ admin, id, wanted, report });
    const openaiModels =
      openai === null || !tasks.sellOpenAi ? null : await tryOpenAi({ admin, openai, report });
    if (!isFirstRun) return { firstRun: null, openaiModels };
    const demo = await setUpDemo(admin, options.demoUpstreamUrl);
    const operatorToken = await renewToken(OPERATOR_TOKEN_NAME);
    if (demo !== null) await waitUntilSold(options.gatewayOrigin, demo.apiKey);
    return { firstRun: { operatorToken, demo }, openaiModels };
  } finally {
    await revokeOperatorToken(run, SET_UP_TOKEN_NAME);
  }
}

async function setUpDemo(admin: AdminClient, demoUpstreamUrl: string | null): Promise<DemoAccount | null> {
  if (demoUpstreamUrl === null) return null;
  await setUpDemoUpstream(admin, demoUpstreamUrl);
  return setUpDemoAccount(admin);
}

function statementsOf(client: Client): RunStatement {
  return (text, params) => client.query(text, params);
}

/** An upstream that is refused now, by address say, keeps nobody from using the others. */
async function tryToFollow(options: {
  admin: AdminClient;
  id: string;
  wanted: WantedDeployment;
  report: (message: string) => void;
}): Promise<void> {
  const { admin, id, wanted, report } = options;
  const name = `The deployment with the external id "${wanted.externalId}"`;
  try {
    await followDeployment(admin, id, wanted);
    report(`${name} now has the address and credential of this start: ${wanted.baseUrl}.`);
  } catch (error) {
    report(`${name} could not be given ${wanted.baseUrl}: ${messageOf(error)}`);
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
