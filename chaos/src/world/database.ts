import { MasterKey } from '@tollgate/runtime';
import { OPERATOR_TOKEN_USE, makeOperatorToken, migrate } from '@tollgate/persistence';
import { Client } from 'pg';
import type { ChaosPostgres } from './chaos-postgres.js';

/** How long an escrow is idle before it returns, of its time in production: a run has to see its end. */
const IDLE_PART = 0.4;

/** Intervals in the database's functions, which no setting reaches: replaced in the database of the run. */
const SHORTENED: readonly { readonly name: string; readonly interval: string; readonly part?: number }[] = [
  { name: 'due_escrows', interval: '5 minutes', part: IDLE_PART },
  { name: 'finish_escrows', interval: '2 minutes' },
  { name: 'expire_holds', interval: '1 minute' },
  { name: 'expire_holds', interval: '5 minutes' },
  { name: 'settle_batch', interval: '1 minute' },
];

/** Makes the schema, with times as short as the processes keep them, and an operator. Answers the operator's token. */
export async function prepareDatabase(
  postgres: ChaosPostgres,
  options: { readonly masterKey: string; readonly timeScale: number },
): Promise<string> {
  await run(postgres.ownerUrl('postgres'), (client) => client.query('CREATE DATABASE tollgate'));
  await migrate({ ownerUrl: postgres.ownerUrl(), appUrl: postgres.appUrl() });
  return run(postgres.ownerUrl(), async (client) => {
    await shortenTimes(client, options.timeScale);
    const { token } = await makeOperatorToken((text, params) => client.query(text, params), {
      name: 'chaos',
      access: 'full',
      hashToken: (secret) => MasterKey.parse(options.masterKey).hashSecret(OPERATOR_TOKEN_USE, secret),
    });
    return token;
  });
}

/** Replaces text in a function of the database. @throws Error where the function does not hold the text. */
export async function patchFunction(
  client: Client,
  name: string,
  [from, to]: readonly [string, string],
): Promise<void> {
  const { rows } = await client.query<{ text: string }>(
    `SELECT pg_get_functiondef(oid) AS text FROM pg_proc WHERE pronamespace = 'tollgate'::regnamespace AND proname = $1`,
    [name],
  );
  const text = rows[0]?.text;
  if (text === undefined || !text.includes(from)) throw new Error(`${name} does not hold the text: ${from}`);
  await client.query(text.replaceAll(from, to));
}

/** Opens a connection for as long as some work takes. */
export async function run<T>(url: string, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

async function shortenTimes(client: Client, timeScale: number): Promise<void> {
  for (const { name, interval, part = 1 } of SHORTENED) {
    await patchFunction(client, name, [
      `interval '${interval}'`,
      `interval '${shorter(interval, timeScale * part)}'`,
    ]);
  }
  await client.query(`ALTER TABLE tollgate.reservation DROP CONSTRAINT reservation_escrow_closes_late,
    ADD CONSTRAINT reservation_escrow_closes_late CHECK (kind <> 'escrow' OR state <> 'closed'
      OR (shut_at IS NOT NULL AND changed_at - shut_at >= interval '${shorter('2 minutes', timeScale)}'))`);
}

function shorter(interval: string, scale: number): string {
  const minutes = Number.parseInt(interval, 10);
  return `${Math.max(1, Math.round(minutes * 60_000 * scale))} milliseconds`;
}
