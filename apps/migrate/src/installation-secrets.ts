import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { MasterKey, writeDurably } from '@tollgate/runtime';
import type { MigrateConfig } from './migrate.config.js';
import { MigrateError } from './migrate-error.js';

const PASSWORD_BYTES = 24;

/** What the database is reached with, and what secrets are hashed with. */
export interface InstallationSecrets {
  readonly masterKey: MasterKey;
  readonly appUrl: string;
  /** Passwords of the bundled Postgres' owner: the first is to be the valid one. None where the operator named another Postgres. */
  readonly ownerPasswords: readonly string[];
}

/**
 * Takes each secret from the environment, else from its file, else makes it and its file (0600). One that the environment
 * gives leaves its file alone: a wrong one must not replace the right one. Applications look in the same two places.
 * @throws MigrateError if a folder cannot be written
 */
export function loadSecrets(config: MigrateConfig): InstallationSecrets {
  const apps = new SecretFolder(config.SECRETS_DIR);
  const masterKey = apps.take('master-key', config.MASTER_KEY, () => MasterKey.generate());
  apps.take('metrics-token', config.METRICS_TOKEN, randomPassword);
  const isBundled = config.DATABASE_OWNER_URL === undefined;
  if (!isBundled && config.DATABASE_URL === undefined) {
    throw new MigrateError(
      'DATABASE_OWNER_URL is set, but not DATABASE_URL: the applications need a role of their own in that database',
    );
  }
  return {
    masterKey: MasterKey.parse(masterKey),
    appUrl: apps.take('database-url', config.DATABASE_URL, () => bundledUrl(config)),
    ownerPasswords: isBundled ? ownerPasswords(config) : [],
  };
}

/** What the operator set comes first, then what was made earlier, then what a new server has. */
function ownerPasswords(config: MigrateConfig): string[] {
  const folder = new SecretFolder(config.OWNER_SECRETS_DIR);
  const { POSTGRES_PASSWORD: given, POSTGRES_BOOTSTRAP_PASSWORD: bootstrap } = config;
  const made =
    given === undefined
      ? folder.take('owner-password', undefined, randomPassword)
      : folder.find('owner-password');
  return [given, made, bootstrap].filter((password) => password !== undefined);
}

/** The URL of the bundled Postgres for its owner. */
export function ownerUrlOf(config: MigrateConfig, password: string): string {
  return postgresUrl(config, { user: config.POSTGRES_USER, password });
}

function bundledUrl(config: MigrateConfig): string {
  return postgresUrl(config, { user: config.POSTGRES_APP_USER, password: randomPassword() });
}

function postgresUrl(config: MigrateConfig, login: { user: string; password: string }): string {
  const url = new URL(`postgres://${config.POSTGRES_ADDRESS}/${config.POSTGRES_DB}`);
  url.username = encodeURIComponent(login.user);
  url.password = encodeURIComponent(login.password);
  return url.href;
}

function randomPassword(): string {
  return randomBytes(PASSWORD_BYTES).toString('base64url');
}

class SecretFolder {
  constructor(private readonly path: string) {
    try {
      mkdirSync(path, { recursive: true, mode: 0o700 });
    } catch (cause) {
      throw this.notWritable(cause);
    }
  }

  take(name: string, given: string | undefined, make: () => string): string {
    const known = given ?? this.find(name);
    if (known !== undefined) return known;
    const made = make();
    try {
      writeDurably(join(this.path, name), `${made}\n`);
    } catch (cause) {
      throw this.notWritable(cause);
    }
    return made;
  }

  find(name: string): string | undefined {
    const path = join(this.path, name);
    if (!existsSync(path)) return undefined;
    return readFileSync(path, 'utf8').trimEnd() || undefined;
  }

  private notWritable(cause: unknown): MigrateError {
    const code =
      typeof cause === 'object' && cause !== null && 'code' in cause ? ` (${String(cause.code)})` : '';
    return new MigrateError(
      `the folder of secrets ${this.path} cannot be written${code}: give it to the user that runs this (uid 1000)`,
    );
  }
}
