import { setTimeout as delay } from 'node:timers/promises';
import { Client, DatabaseError, escapeIdentifier, escapeLiteral } from 'pg';
import { scramVerifier } from '@tollgate/persistence';
import { ownerUrlOf } from './installation-secrets.js';
import type { MigrateConfig } from './migrate.config.js';
import { MigrateError } from './migrate-error.js';

const CONNECT_TIMEOUT_MS = 5_000;
const RETRY_DELAY_MS = 500;
const WRONG_PASSWORD = '28P01';
/** The server is starting or stopping, or has no connection to spare. */
const COMES_BACK = new Set(['57P01', '57P02', '57P03', '53300']);

/**
 * Waits until Postgres answers and makes the first of `passwords` its owner's. A new server has the bootstrap password, a
 * restored one may have another; after this only the first is valid. Answers the URL that logs in.
 * @throws MigrateError if it does not answer in time, or takes none of the passwords
 */
export async function claimOwner(config: MigrateConfig, passwords: readonly string[]): Promise<string> {
  const [wanted = '', ...others] = passwords;
  const wantedUrl = ownerUrlOf(config, wanted);
  const deadlineMs = Date.now() + config.POSTGRES_WAIT_MS;
  if (await logsIn(wantedUrl, deadlineMs)) return wantedUrl;
  for (const other of others) {
    const url = ownerUrlOf(config, other);
    if (!(await logsIn(url, deadlineMs))) continue;
    await setPassword(url, { user: config.POSTGRES_USER, password: wanted });
    return wantedUrl;
  }
  throw new MigrateError(
    `Postgres at ${config.POSTGRES_ADDRESS} refuses the password of ${config.POSTGRES_USER}: its data was made with another. ` +
      'Set POSTGRES_PASSWORD to the password it has, restore the secrets of the backup that belongs to it, or remove its volume',
  );
}

/** Waits until an own Postgres of the operator's answers. @throws MigrateError with the driver's reason */
export async function awaitPostgres(url: string, waitMs: number): Promise<void> {
  if (await logsIn(url, Date.now() + waitMs)) return;
  throw new MigrateError(
    `Postgres at ${new URL(url).host} refuses the password of DATABASE_OWNER_URL: correct it`,
  );
}

/** Whether the password is right. @throws MigrateError if there is no answer until the deadline, or another refusal */
async function logsIn(url: string, deadlineMs: number): Promise<boolean> {
  const { host } = new URL(url);
  for (;;) {
    const client = new Client({ connectionString: url, connectionTimeoutMillis: CONNECT_TIMEOUT_MS });
    client.on('error', () => undefined);
    try {
      await client.connect();
      return true;
    } catch (error) {
      const code = error instanceof DatabaseError ? error.code : undefined;
      if (code === WRONG_PASSWORD) return false;
      const reason = error instanceof Error ? error.message : 'unknown error';
      if (code !== undefined && !COMES_BACK.has(code)) {
        throw new MigrateError(`Postgres at ${host} refuses the connection: ${reason}`);
      }
      if (Date.now() > deadlineMs) {
        throw new MigrateError(
          `Postgres at ${host} does not answer (${reason}): start it, or correct its address`,
        );
      }
    } finally {
      await client.end().catch(() => undefined);
    }
    await delay(RETRY_DELAY_MS);
  }
}

async function setPassword(url: string, role: { user: string; password: string }): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    const verifier = escapeLiteral(scramVerifier(role.password));
    await client.query(`ALTER ROLE ${escapeIdentifier(role.user)} PASSWORD ${verifier}`);
  } finally {
    await client.end();
  }
}
