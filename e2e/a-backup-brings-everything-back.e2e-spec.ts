import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inheritedEnvironment } from '@tollgate/runtime';
import { eventually, startInstallation, type Installation } from '@tollgate/testing';
import { AdminApi } from './installation/admin-api.js';
import { LogCanaries } from './installation/log-canaries.js';

// Embedded only: a compose installation has scripts of its own, and a test of its own.

const launcher = fileURLToPath(new URL('../embedded/dist/main.js', import.meta.url));

/** Runs `npm run <command> -- <file>` without npm; what it printed. @throws Error where it failed. */
async function run(command: 'backup' | 'restore', file: string, dataDir: string): Promise<string> {
  const child = spawn(process.execPath, [launcher, command, file], {
    env: { ...inheritedEnvironment(), DATA_DIR: dataDir },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  }
  const code = await new Promise((resolve) => child.once('close', resolve));
  if (code !== 0) throw new Error(output);
  return output;
}

function adminOf(installation: Installation, operatorToken: string): AdminApi {
  const { adminOrigin: adminUrl, gatewayOrigin: gatewayUrl } = installation;
  return new AdminApi({ adminUrl, gatewayUrl, operatorToken, canaries: new LogCanaries() });
}

function ask(installation: Installation, apiKey: string, stream: boolean): Promise<string> {
  return fetch(`${installation.gatewayOrigin}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'demo-chat', messages: [{ role: 'user', content: 'Hello!' }], stream }),
  }).then((response) => response.text());
}

describe('npm run backup and npm run restore', () => {
  it('bring back keys, balances, transfers and usage as of one moment, taken under load', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tollgate-restored-'));
    const file = join(folder, 'backup.tar.gz');
    let installation = await startInstallation();
    try {
      const { dataDir, ports, secrets } = installation;
      const { apiKey, accountId, operatorToken } = secrets;
      let loading = true;
      const source = installation;
      const load = [false, true].map(async (stream) => {
        while (loading) await ask(source, apiKey, stream);
      });
      await ask(installation, apiKey, false);
      const output = await run('backup', file, dataDir);
      const [, asOf = ''] = /as of (\S+) to/.exec(output) ?? [];
      expect(output).toContain('It holds the master key');
      expect(statSync(file).mode & 0o777).toBe(0o600);
      loading = false;
      await Promise.all(load);
      const before = adminOf(installation, operatorToken);
      // Until the queue is empty: what the backup found waiting in it has to be among these.
      await eventually(async () => {
        expect(await before.balance(accountId)).toMatchObject({ held: '0' });
      });
      const transfers = await before.transfers(accountId);
      const usage = await before.usage(accountId);
      await installation.remove();

      expect(await run('restore', file, dataDir)).toContain('Every checksum is right, and so are the books');
      installation = await startInstallation({ dataDir, ports });
      const after = adminOf(installation, operatorToken);
      const restored = await after.transfers(accountId);
      const restoredUsage = await after.usage(accountId);
      // Debits that waited in the queue at that moment are booked anew, and later.
      const booked = restored.filter(({ createdAt }) => createdAt <= asOf);
      expect(booked.length).toBeGreaterThan(1);
      // Newest first, numbered without gaps: the oldest ones are those of before, to the byte.
      expect(booked).toEqual(transfers.slice(-booked.length));
      const waited = restored.slice(0, restored.length - booked.length);
      const amounts = new Map(transfers.map(({ requestId, amount }) => [requestId, amount]));
      expect(waited.map(({ amount }) => amount)).toEqual(
        waited.map(({ requestId }) => amounts.get(requestId)),
      );
      const bookedIds = new Set(booked.map(({ requestId }) => requestId));
      const usageOf = (rows: any[]) => rows.filter(({ requestId }) => bookedIds.has(requestId));
      expect(usageOf(restoredUsage).length).toBeGreaterThan(0);
      expect(usageOf(restoredUsage)).toEqual(usageOf(usage));
      // Debits may still come, and between two calls as well.
      await eventually(async () => {
        const [newest] = await after.transfers(accountId);
        expect((await after.balance(accountId)).posted).toBe(newest.balanceAfter);
      });
      expect(await ask(installation, apiKey, false)).toContain('"chat.completion"');
    } finally {
      await installation.remove();
      rmSync(folder, { recursive: true, force: true });
    }
  }, 240_000);
});
