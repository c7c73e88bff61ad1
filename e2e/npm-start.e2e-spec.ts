import { spawnSync } from 'node:child_process';
import { appendFileSync, existsSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inheritedEnvironment } from '@tollgate/runtime';
import {
  startFakeUpstream,
  startInstallation,
  type FirstRunSecrets,
  type Installation,
} from '@tollgate/testing';

interface Transfer {
  kind: string;
  amount: string;
  balanceAfter: string;
}

async function transfersOf(installation: Installation, secrets: FirstRunSecrets): Promise<Transfer[]> {
  const response = await fetch(
    `${installation.adminOrigin}/admin/v1/accounts/${secrets.accountId}/transfers`,
    {
      headers: { authorization: `Bearer ${secrets.operatorToken}` },
    },
  );
  const page: { data: Transfer[] } = JSON.parse(await response.text());
  return page.data;
}

function ask(installation: Installation, apiKey: string, body: object = {}): Promise<Response> {
  return fetch(`${installation.gatewayOrigin}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'demo-chat', messages: [{ role: 'user', content: 'Hello!' }], ...body }),
  });
}

const launcher = fileURLToPath(new URL('../embedded/dist/main.js', import.meta.url));

/** Runs `npm run operator:reset` without npm; the token that it printed. */
function resetOperator(dataDir: string, word: string): string {
  const { stdout, stderr } = spawnSync(process.execPath, [launcher, 'operator:reset', word], {
    env: { ...inheritedEnvironment(), DATA_DIR: dataDir },
    encoding: 'utf8',
  });
  const [token] = /tgop_\w+/.exec(stdout) ?? [];
  if (token === undefined) throw new Error(`there is no new token: ${stdout}${stderr}`);
  return token;
}

function me(installation: Installation, operatorToken: string): Promise<Response> {
  return fetch(`${installation.adminOrigin}/admin/v1/me`, {
    headers: { authorization: `Bearer ${operatorToken}` },
  });
}

async function soon<Value>(
  read: () => Promise<Value>,
  isGood: (value: Value) => boolean,
  timeoutMs: number,
): Promise<Value> {
  const deadlineMs = Date.now() + timeoutMs;
  for (;;) {
    const value = await read();
    if (isGood(value) || Date.now() > deadlineMs) return value;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

describe('npm start', () => {
  let installation: Installation;
  let secrets: FirstRunSecrets;

  beforeAll(async () => {
    installation = await startInstallation();
    secrets = installation.secrets;
  });
  afterAll(() => installation.remove());

  const startAgain = async (environment: Record<string, string> = {}): Promise<void> => {
    const { dataDir, ports } = installation;
    installation = await startInstallation({ dataDir, ports, environment });
  };

  it('answers the printed request and shows its debit within 2 s, exact to the last nano-credit', async () => {
    const answer: { usage: { prompt_tokens: number; completion_tokens: number } } = JSON.parse(
      await (await ask(installation, secrets.apiKey)).text(),
    );
    const { prompt_tokens: input, completion_tokens: output } = answer.usage;
    const transfers = await soon(
      () => transfersOf(installation, secrets),
      ({ length }) => length > 1,
      2_000,
    );
    // 0.5 and 1.5 credits for a million tokens are 500 and 1,500 nano-credits for one.
    const costNano = input * 500 + output * 1_500;
    expect(transfers).toHaveLength(2);
    expect(transfers[1]).toMatchObject({ kind: 'top_up', amount: '5', balanceAfter: '5' });
    expect(Number(transfers[0]?.amount)).toBe(-costNano / 1e9);
  });

  it('streams to the end', async () => {
    const text = await (await ask(installation, secrets.apiKey, { stream: true })).text();
    expect(text).toMatch(/^data: \{.*"role":"assistant"/);
    expect(text.endsWith('data: [DONE]\n\n')).toBe(true);
  });

  it('keeps secrets to itself', () => {
    const read = (name: string) => readFileSync(join(installation.dataDir, name), 'utf8');
    for (const name of ['gateway', 'admin', 'billing', 'demo-upstream', 'postgres']) {
      expect(read(`logs/${name}.log`)).not.toMatch(new RegExp(`${secrets.apiKey}|${secrets.operatorToken}`));
    }
    expect(statSync(join(installation.dataDir, 'secrets.json')).mode & 0o077).toBe(0);
  });

  it('refuses a second start on the same data', async () => {
    await expect(startInstallation({ dataDir: installation.dataDir })).rejects.toThrow(
      `Tollgate is already running on ${installation.dataDir} (process ${installation.launcherPid}).`,
    );
  });

  it('refuses ports that are taken', async () => {
    const dataDir = `${installation.dataDir}-2`;
    await expect(startInstallation({ dataDir, ports: installation.ports })).rejects.toThrow(
      `Port ${installation.ports.gateway} (gateway) is taken by another program.`,
    );
    rmSync(dataDir, { recursive: true, force: true });
  });

  it('starts a killed process again', async () => {
    const killed = installation.pidOf('gateway');
    process.kill(killed, 'SIGKILL');
    const models = () =>
      fetch(`${installation.gatewayOrigin}/v1/models`, {
        headers: { authorization: `Bearer ${secrets.apiKey}` },
      }).then(
        ({ status }) => status,
        () => 0,
      );
    expect(await soon(models, (status) => status === 200, 20_000)).toBe(200);
    expect(installation.pidOf('gateway')).not.toBe(killed);
    expect(installation.output).toContain('gateway: ended (SIGKILL), starting it again in 1 s.');
  });

  it('stops on Ctrl-C with nothing left behind, and finds its data at the next start', async () => {
    const before = await transfersOf(installation, secrets);
    expect(await installation.stop('SIGINT')).toBe(0);
    expect(existsSync(join(installation.dataDir, 'launcher.lock'))).toBe(false);
    expect(existsSync(join(installation.dataDir, 'postgres', 'postmaster.pid'))).toBe(false);
    await startAgain();
    expect(installation.output).not.toMatch(/sk-|tgop_/);
    expect(await transfersOf(installation, secrets)).toEqual(before);
    expect((await ask(installation, secrets.apiKey)).status).toBe(200);
  });

  it('comes back after its launcher was killed', async () => {
    await installation.killLauncher();
    await startAgain();
    expect(installation.output).toContain('Took over the Postgres of the last run.');
    expect((await ask(installation, secrets.apiKey)).status).toBe(200);
  });

  it('completes a first run that was cut off, with new secrets in place of those nobody saw', async () => {
    const before = await transfersOf(installation, secrets);
    await installation.stop();
    rmSync(join(installation.dataDir, 'first-run.json'));
    await startAgain();
    const renewed = installation.secrets;
    expect(renewed.accountId).toBe(secrets.accountId);
    expect((await ask(installation, secrets.apiKey)).status).toBe(401);
    expect((await ask(installation, renewed.apiKey)).status).toBe(200);
    const topUps = (await transfersOf(installation, renewed)).filter(({ kind }) => kind === 'top_up');
    expect(topUps).toEqual(before.filter(({ kind }) => kind === 'top_up'));
    secrets = renewed;
  });

  it('sells the upstream of OPENAI_API_KEY once it is set', async () => {
    const upstream = await startFakeUpstream({ secret: 'sk-upstream', models: ['gpt-4o-mini', 'whisper-1'] });
    await installation.stop();
    const environment = { OPENAI_API_KEY: 'sk-upstream', OPENAI_BASE_URL: upstream.baseUrl };
    await startAgain(environment);
    expect(installation.output).toContain(`Registered ${upstream.baseUrl} with gpt-4o-mini.`);
    const answered = await soon(
      () => ask(installation, secrets.apiKey, { model: 'gpt-4o-mini' }),
      ({ ok }) => ok,
      20_000,
    );
    expect(answered.status).toBe(200);
    expect((await upstream.deliveries())[0]?.headers.authorization).toBe('Bearer sk-upstream');
    await installation.stop();
    await startAgain(environment);
    expect(installation.output).not.toMatch(/Registered|now has the address/);
    await upstream.stop();
    const moved = await startFakeUpstream({ secret: 'sk-other', models: ['gpt-4o-mini'] });
    await installation.stop();
    await startAgain({ OPENAI_API_KEY: 'sk-other', OPENAI_BASE_URL: moved.baseUrl });
    expect(installation.output).toContain(
      `now has the address and credential of this start: ${moved.baseUrl}.`,
    );
    const followed = await soon(
      () => ask(installation, secrets.apiKey, { model: 'gpt-4o-mini' }),
      ({ ok }) => ok,
      20_000,
    );
    expect(followed.status).toBe(200);
    expect((await moved.deliveries())[0]?.headers.authorization).toBe('Bearer sk-other');
    await moved.stop();
  });

  it('gives out a new operator token while it runs and while it is stopped, and revokes the others', async () => {
    const running = resetOperator(installation.dataDir, 'Night');
    expect((await me(installation, running)).status).toBe(200);
    await installation.stop();
    const renewed = resetOperator(installation.dataDir, '--revoke-others');
    expect(existsSync(join(installation.dataDir, 'postgres', 'postmaster.pid'))).toBe(false);
    await startAgain();
    expect((await me(installation, renewed)).status).toBe(200);
    expect((await me(installation, running)).status).toBe(401);
    expect((await me(installation, secrets.operatorToken)).status).toBe(401);
  });

  it('says that the secrets of its database are missing', async () => {
    await installation.stop();
    const path = join(installation.dataDir, 'secrets.json');
    const kept = readFileSync(path);
    rmSync(path);
    await expect(startAgain()).rejects.toThrow(/secrets\.json is missing, but there is a database/);
    appendFileSync(path, kept);
  });
});
