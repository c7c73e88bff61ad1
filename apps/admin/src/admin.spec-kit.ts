import { randomUUID } from 'node:crypto';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { createPool } from '@tollgate/persistence';
import { Health, MasterKey, createLogger } from '@tollgate/runtime';
import { createTestDatabase } from '@tollgate/testing';
import type { Pool } from 'pg';
import { v7 as uuidv7 } from 'uuid';
import { accountSchema } from './accounts/account.schema.js';
import { adminConfigSchema, type AdminConfig } from './admin.config.js';
import { connectDataSource, createAdminApp } from './admin-process.js';

type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE' | 'PUT';

export interface CallOptions {
  readonly body?: unknown;
  readonly headers?: Record<string, string>;
}

export interface Answer {
  readonly status: number;
  readonly headers: Record<string, string | string[] | number | undefined>;

  readonly body: any;
}

/** The admin process on a database of its own, with one operator. */
export interface AdminUnderTest {
  readonly app: NestFastifyApplication;
  readonly config: AdminConfig;
  readonly token: string;
  /** The owner of the database, who sees and does everything. */
  readonly owner: Pool;
  /** Calls a path below /admin/v1 as the operator; a body is sent as JSON. */
  call(method: Method, path: string, options?: CallOptions): Promise<Answer>;
  stop(): Promise<void>;
}

/** Starts it without a port; `app.listen(0)` gives it one. */
export async function startAdmin(environment: Record<string, string> = {}): Promise<AdminUnderTest> {
  const database = await createTestDatabase();
  const config = adminConfigSchema.parse({
    DATABASE_URL: database.appUrl,
    MASTER_KEY: MasterKey.generate(),
    ...environment,
  });
  const owner = createPool({ url: database.ownerUrl, max: 2, name: 'owner' });
  const dataSource = await connectDataSource(config);
  const app = await createAdminApp(
    { config, dataSource, health: new Health() },
    createLogger('admin', 'silent'),
  );
  await app.init();
  const token = await insertOperator({ owner, config }, 'tester');
  return {
    app,
    config,
    token,
    owner,
    call: (method, path, options) => call({ app, token }, { method, path, ...options }),
    stop: async () => {
      await app.close();
      await owner.end();
      await database.drop();
    },
  };
}

/** Gives an operator a new token. */
export async function insertOperator(
  admin: Pick<AdminUnderTest, 'owner' | 'config'>,
  name: string,
): Promise<string> {
  const token = `operator-${randomUUID()}`;
  await admin.owner.query('INSERT INTO tollgate.operator_token (id, name, token_hash) VALUES ($1, $2, $3)', [
    uuidv7(),
    name,
    admin.config.MASTER_KEY.hashSecret('operator-token', token),
  ]);
  return token;
}

async function call(
  { app, token }: Pick<AdminUnderTest, 'app' | 'token'>,
  asked: CallOptions & { method: Method; path: string },
): Promise<Answer> {
  const { method, path, body, headers } = asked;
  const answer = await app.inject({
    method,
    url: `/admin/v1${path}`,
    headers: {
      authorization: `Bearer ${token}`,
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body !== undefined && { payload: JSON.stringify(body) }),
  });
  const parsed: unknown = answer.body === '' ? null : JSON.parse(answer.body);
  return { status: answer.statusCode, headers: answer.headers, body: parsed };
}

/** A key that no call used before. */
export function freshKey(): { 'idempotency-key': string } {
  return { 'idempotency-key': randomUUID() };
}

/** Opens an account, with credits where some are given. */
export async function openAccount(admin: AdminUnderTest, amount?: string): Promise<string> {
  const created = await admin.call('POST', '/accounts', { body: { name: 'Ada' } });
  const { id } = accountSchema.parse(created.body);
  if (amount !== undefined) {
    await admin.call('POST', `/accounts/${id}/top-ups`, { body: { amount }, headers: freshKey() });
  }
  return id;
}
