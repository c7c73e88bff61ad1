// The process that owns the Postgres of one test run: started by jest-global-setup.mjs, ended by the end of its input.
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startPostgresServer, type PostgresServer } from '@tollgate/embedded';
import { Client } from 'pg';
import { TEMPLATE_DATABASE, appUrl, databaseUrl } from './test-roles.js';

interface Announcement {
  /** URL of the superuser, for the database `postgres`. */
  serverUrl?: string;
  failure?: string;
  templateFailure?: string;
}

let ending = false;

async function keep(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'tollgate-test-'));
  let server: PostgresServer | null = null;
  const end = new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, resolve);
    process.stdin.on('error', resolve).on('close', resolve).resume();
  });
  void end.then(() => (ending = true));
  try {
    server = await startServer(folder);
    const serverUrl = server.url('postgres');
    announce({ serverUrl, templateFailure: ending ? undefined : await makeTemplate(serverUrl) });
  } catch (error) {
    announce({ failure: describe(error) });
  }
  await end;
  await server?.stop();
  rmSync(folder, { recursive: true, force: true });
  process.exit(0);
}

function startServer(folder: string): Promise<PostgresServer> {
  return startPostgresServer({
    dataDir: join(folder, 'postgres'),
    password: randomBytes(12).toString('hex'),
    user: 'tollgate_owner',
    durable: false,
    settings: { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off', max_connections: '200' },
  });
}

/** Makes and migrates the template database; says why it could not. */
async function makeTemplate(serverUrl: string): Promise<string | undefined> {
  const client = new Client({ connectionString: serverUrl });
  try {
    await client.connect();
    await client.query(`CREATE DATABASE ${TEMPLATE_DATABASE}`);
    const ownerUrl = databaseUrl(serverUrl, TEMPLATE_DATABASE);
    // Loaded late: specs that need no schema work while it does not compile.
    const { migrate } = await import('@tollgate/persistence');
    await migrate({ ownerUrl, appUrl: appUrl(ownerUrl) });
    return undefined;
  } catch (error) {
    return describe(error);
  } finally {
    await client.end();
  }
}

function announce(announcement: Announcement): void {
  process.stdout.write(`${JSON.stringify(announcement)}\n`);
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

// Jest may be gone when this writes to it.
process.stdout.on('error', () => undefined);
void keep();
