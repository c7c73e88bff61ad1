import { randomUUID } from 'node:crypto';
import { loadConfig } from '@tollgate/runtime';
import { Client } from 'pg';
import { z } from 'zod';
import { TEMPLATE_DATABASE, appUrl, databaseUrl } from './test-roles.js';

/** A database of its own for one spec file. */
export interface TestDatabase {
  /** Connection URL of the owner, who may do anything. */
  readonly ownerUrl: string;
  /** Connection URL of the role that the applications use. */
  readonly appUrl: string;
  /** Removes the database, ending the sessions that are still open on it. */
  drop(): Promise<void>;
}

/** Set by jest-global-setup.mjs. */
const testRunSchema = z.object({
  TEST_POSTGRES_URL: z.string().optional(),
  TEST_POSTGRES_FAILURE: z.string().optional(),
  TEST_TEMPLATE_FAILURE: z.string().optional(),
});

/**
 * Makes a database as a copy of the migrated template, or an empty one.
 * @throws Error if the run has no Postgres: the file is not run as part of the integration tests.
 */
export async function createTestDatabase(options: { empty?: boolean } = {}): Promise<TestDatabase> {
  const { empty = false } = options;
  const run = loadConfig(testRunSchema);
  if (run.TEST_POSTGRES_FAILURE !== undefined) {
    throw new Error(`The Postgres of this test run did not start: ${run.TEST_POSTGRES_FAILURE}`);
  }
  if (run.TEST_POSTGRES_URL === undefined) {
    throw new Error('There is no Postgres: run this with jest.int.config.mjs, in a file named *.int-spec.ts');
  }
  if (run.TEST_TEMPLATE_FAILURE !== undefined && !empty) {
    throw new Error(`The template database could not be migrated: ${run.TEST_TEMPLATE_FAILURE}`);
  }
  const serverUrl = run.TEST_POSTGRES_URL;
  const name = `test_${randomUUID().replaceAll('-', '')}`;
  const template = empty ? 'template0' : TEMPLATE_DATABASE;
  await execute(serverUrl, `CREATE DATABASE ${name} TEMPLATE ${template}`);
  const ownerUrl = databaseUrl(serverUrl, name);
  return {
    ownerUrl,
    appUrl: appUrl(ownerUrl),
    drop: () => execute(serverUrl, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`),
  };
}

async function execute(url: string, statement: string): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
