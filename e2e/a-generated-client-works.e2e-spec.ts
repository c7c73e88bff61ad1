import { execFile } from 'node:child_process';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { inheritedEnvironment } from '@tollgate/runtime';
import { RunningInstallation } from './installation/running-installation.js';
import { installClients, newerNode } from './real-clients/installed-clients.js';

const run = promisify(execFile);
const FOLDER = 'admin-openapi';
const CLIENT = resolve(__dirname, 'clients', FOLDER);
const INSTALL_TIMEOUT_MS = 300_000;
const STEP_TIMEOUT_MS = 120_000;

let installation: RunningInstallation;

beforeAll(async () => {
  const node = newerNode();
  await installClients([{ folder: FOLDER }], node);
  installation = await RunningInstallation.start();
}, INSTALL_TIMEOUT_MS);

afterAll(async () => {
  await installation?.discard();
});

/** Runs a script of the client's folder on the Node that its packages need. */
async function node(...command: string[]): Promise<string> {
  const { stdout } = await run(newerNode().program, command, {
    cwd: CLIENT,
    env: inheritedEnvironment(),
    timeout: STEP_TIMEOUT_MS,
  });
  return stdout;
}

/** Makes a client of the document that this installation serves, and compiles our program against it. */
async function generateClient(): Promise<void> {
  const output = join(CLIENT, 'dist');
  await rm(output, { recursive: true, force: true });
  await mkdir(output);
  const response = await fetch(`${installation.adminUrl}/admin/openapi.json`);
  expect(response.status).toBe(200);
  await writeFile(join(output, 'openapi.json'), await response.text());
  await node(
    'node_modules/.bin/openapi-ts',
    '-i',
    './dist/openapi.json',
    '-o',
    'dist/generated',
    '-c',
    '@hey-api/client-fetch',
  );
  await node('node_modules/.bin/tsc', '-p', '.');
}

describe('a client that a public generator makes of /admin/openapi.json', () => {
  it(
    'compiles, opens an account, makes a key, tops up once, and gets the stored answer of a replay',
    async () => {
      await generateClient();
      const done = JSON.parse(
        await node('dist/compiled/client.mjs', installation.adminUrl, installation.operatorToken),
      );
      expect(done).toEqual({
        accountId: expect.any(String),
        key: expect.stringMatching(/^sk-[A-Za-z0-9]{48}$/),
        statuses: [201, 200],
        transferIds: [expect.any(String), done.transferIds[0]],
        replayed: 'true',
        refusal: 'idempotency_key_reused',
        balance: '12.5',
      });
      const transfers = await installation.admin().transfers(done.accountId);
      expect(transfers.map(({ kind, amount, reference }) => ({ kind, amount, reference }))).toEqual([
        { kind: 'top_up', amount: '12.5', reference: 'invoice-1' },
      ]);
    },
    INSTALL_TIMEOUT_MS,
  );
});
