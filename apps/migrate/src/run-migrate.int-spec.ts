import { randomUUID } from 'node:crypto';
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MasterKey, createLogger, loadConfig } from '@tollgate/runtime';
import { createTestDatabase, type TestDatabase } from '@tollgate/testing';
import { Client } from 'pg';
import { migrateConfigSchema } from './migrate.config.js';
import { runMigrate } from './run-migrate.js';

const BOOTSTRAP = 'replaced-by-migrate';

let database: TestDatabase;
let folder: string;
let owner: Client;
let roles: { owner: string; app: string };

beforeEach(async () => {
  // Roles of its own: their passwords change, and other spec files are on the same server.
  const suffix = randomUUID().replaceAll('-', '');
  roles = { owner: `owner_${suffix}`, app: `app_${suffix}` };
  database = await createTestDatabase({ empty: true });
  folder = mkdtempSync(join(tmpdir(), 'tollgate-migrate-'));
  owner = new Client({ connectionString: database.ownerUrl });
  await owner.connect();
  await owner.query(`CREATE ROLE ${roles.owner} SUPERUSER LOGIN PASSWORD '${BOOTSTRAP}'`);
});

afterEach(async () => {
  await owner.query(`DROP OWNED BY ${roles.app}`).catch(() => undefined);
  await owner.query(`REASSIGN OWNED BY ${roles.owner} TO CURRENT_USER`);
  await owner.query(`DROP ROLE IF EXISTS ${roles.app}`);
  await owner.query(`DROP ROLE ${roles.owner}`);
  await owner.end();
  await database.drop();
  rmSync(folder, { recursive: true, force: true });
});

/** Runs it with these variables; answers what it printed. */
async function run(environment: Record<string, string> = {}): Promise<string> {
  const { host, pathname } = new URL(database.ownerUrl);
  const config = loadConfig(migrateConfigSchema, {
    SECRETS_DIR: join(folder, 'secrets'),
    OWNER_SECRETS_DIR: join(folder, 'owner-secrets'),
    POSTGRES_ADDRESS: host,
    POSTGRES_DB: pathname.slice(1),
    POSTGRES_USER: roles.owner,
    POSTGRES_APP_USER: roles.app,
    POSTGRES_BOOTSTRAP_PASSWORD: BOOTSTRAP,
    POSTGRES_WAIT_MS: '2000',
    ...environment,
  });
  let printed = '';
  await runMigrate(config, {
    logger: createLogger('test', 'silent'),
    print: (text) => (printed += text),
  });
  return printed;
}

async function logsIn(password: string): Promise<boolean> {
  const url = new URL(database.ownerUrl);
  url.username = roles.owner;
  url.password = password;
  const client = new Client({ connectionString: url.href });
  try {
    await client.connect();
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => undefined);
  }
}

function secrets(): Record<string, string> {
  const all: Record<string, string> = {};
  for (const part of ['secrets', 'owner-secrets']) {
    for (const name of readdirSync(join(folder, part))) {
      const path = join(folder, part, name);
      expect(statSync(path).mode & 0o777).toBe(0o600);
      all[name] = readFileSync(path, 'utf8').trim();
    }
  }
  return all;
}

describe('migrate', () => {
  it('makes a new installation ready: secrets, schema, roles, and one operator token that works', async () => {
    const printed = await run();
    const made = secrets();
    expect(Object.keys(made).sort()).toEqual([
      'database-url',
      'master-key',
      'metrics-token',
      'owner-password',
    ]);
    const [, token = ''] = /Operator token (tgop_\w+)/.exec(printed) ?? [];
    const { rows } = await owner.query('SELECT token_hash, access FROM tollgate.operator_token');
    const masterKey = MasterKey.parse(made['master-key'] ?? '');
    expect(rows).toEqual([{ token_hash: masterKey.hashSecret('operator-token', token), access: 'full' }]);

    const app = new Client({ connectionString: made['database-url'] });
    await app.connect();
    await app.query('SELECT FROM tollgate.account');
    await app.end();
  });

  it('prints steps that have nothing to be filled in but the upstream', async () => {
    const printed = await run({ ADMIN_URL: 'http://admin.example', GATEWAY_URL: 'http://gateway.example' });
    const [, token = ''] = /Operator token (tgop_\w+)/.exec(printed) ?? [];
    expect(printed).toContain(
      `export TOKEN=${token}\n  ADMIN=http://admin.example/admin/v1 GATEWAY=http://gateway.example\n`,
    );
    expect(printed).not.toMatch(/<\w+>/);
    expect(printed.match(/…/g)).toHaveLength(1);
  });

  it('leaves no password of before valid', async () => {
    await run();
    expect(await logsIn(BOOTSTRAP)).toBe(false);
    expect(await logsIn(secrets()['owner-password'] ?? '')).toBe(true);
  });

  it('changes nothing when it runs again, and prints no secret a second time', async () => {
    await run();
    const made = secrets();
    expect(await run()).toBe('');
    expect(secrets()).toEqual(made);
    const { rows } = await owner.query('SELECT count(*)::int AS n FROM tollgate.operator_token');
    expect(rows).toEqual([{ n: 1 }]);
  });

  it('takes what the operator set, writes none of it down, and goes from a made password to a set one', async () => {
    await run();
    const given = { POSTGRES_PASSWORD: 'chosen by a person', METRICS_TOKEN: 'metrics-token-of-mine' };
    await run(given);
    expect(await logsIn('chosen by a person')).toBe(true);
    expect(await logsIn(secrets()['owner-password'] ?? '')).toBe(false);
    expect(Object.values(secrets()).join()).not.toMatch(/chosen|of-mine/);
  });

  it('refuses another master key than the one of the data, from the environment and from the volume', async () => {
    await run();
    const kept = secrets()['master-key'];
    const other = MasterKey.generate();
    await expect(run({ MASTER_KEY: other })).rejects.toThrow(/MASTER_KEY is not the key .* Restore the key/);
    expect(secrets()['master-key']).toBe(kept);
    writeFileSync(join(folder, 'secrets', 'master-key'), `${other}\n`);
    await expect(run()).rejects.toThrow(/MASTER_KEY is not the key/);
  });

  it('names what to do when Postgres takes none of the passwords, or is not there', async () => {
    await owner.query(`ALTER ROLE ${roles.owner} PASSWORD 'of another installation'`);
    const refused = run();
    await expect(refused).rejects.toThrow(/refuses the password of owner_\w+: .*Set POSTGRES_PASSWORD/);
    await expect(refused).rejects.not.toThrow(/another installation/);
    await expect(run({ POSTGRES_ADDRESS: '127.0.0.1:1' })).rejects.toThrow(
      /Postgres at 127\.0\.0\.1:1 does not answer .*: start it/,
    );
  });

  it('makes one operator token when two run at once', async () => {
    await run();
    await owner.query('DELETE FROM tollgate.operator_token');
    const printed = await Promise.all([run(), run()]);
    expect(printed.filter((text) => text !== '')).toHaveLength(1);
  });

  it('names each variable that is wrong', async () => {
    await expect(run({ MASTER_KEY: 'short', DATABASE_URL: 'mysql://x' })).rejects.toThrow(
      /MASTER_KEY: must be 32 bytes[\s\S]*DATABASE_URL: must be a postgres/,
    );
    await expect(run({ DATABASE_OWNER_URL: database.ownerUrl })).rejects.toThrow(/but not DATABASE_URL/);
  });
});
