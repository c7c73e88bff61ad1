import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import type { Secrets } from '../data-folder/secrets.js';
import { isPostmasterOf, readPostmasterPid } from '../postgres/postmaster-pid.js';
import { EmbeddedDatabase } from './embedded-database.js';

const secrets: Secrets = {
  masterKey: '',
  ownerPassword: 'owner-password',
  appPassword: 'app-password',
};

async function answers(url: string): Promise<boolean> {
  const client = new Client({ connectionString: url });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return (await client.query('SELECT 1')).rowCount === 1;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => undefined);
  }
}

describe('EmbeddedDatabase', () => {
  let folder: string;
  const messages: string[] = [];

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'tollgate-database-'));
    messages.length = 0;
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const start = (): Promise<EmbeddedDatabase> =>
    EmbeddedDatabase.start({
      dataDir: folder,
      logFile: join(folder, 'postgres.log'),
      secrets,
      port: undefined,
      report: (message) => messages.push(message),
    });
  const pid = (): number => readPostmasterPid(join(folder, 'postgres'))?.pid ?? 0;

  it('makes the database and starts Postgres again on the same port when it ends', async () => {
    const database = await start();
    const killed = pid();
    process.kill(killed, 'SIGKILL');
    for (let attempt = 0; attempt < 200 && !(await answers(database.ownerUrl)); attempt += 1) await delay(50);
    expect(await answers(database.ownerUrl)).toBe(true);
    expect(pid()).not.toBe(killed);
    expect(messages).toEqual(['Postgres: ended, starting it again in 1 s.']);
    await database.stop();
    expect(readPostmasterPid(join(folder, 'postgres'))).toBeNull();
  });

  it('leaves no Postgres behind when it is stopped while that one starts again', async () => {
    const database = await start();
    process.kill(pid(), 'SIGKILL');
    await delay(1_040);
    await database.stop();
    await delay(500);
    expect(isPostmasterOf(pid(), join(folder, 'postgres'))).toBe(false);
  });

  it('writes no password into the log', async () => {
    const database = await start();
    expect(new URL(database.appUrl).username).toBe('tollgate_app');
    await database.stop();
    expect(readFileSync(join(folder, 'postgres.log'), 'utf8')).not.toMatch(/-password/);
  });
});
