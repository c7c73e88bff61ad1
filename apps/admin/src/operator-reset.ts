import { parseArgs } from 'node:util';
import { assertMasterKey, assertSchemaVersion, createPool } from '@tollgate/persistence';
import { loadConfig } from '@tollgate/runtime';
import { adminConfigSchema } from './admin.config.js';
import { resetOperator } from './auth/reset-operator.js';

const DEFAULT_NAME = 'First run';
const NAME_PATTERN = /^\P{Cc}{1,200}$/u;
const USAGE = 'Usage: operator-reset [name of the operator] [--revoke-others]';

const configSchema = adminConfigSchema.pick({ DATABASE_URL: true, MASTER_KEY: true });

/** Prints a new operator token with full access, for when nobody has one any more. Reads DATABASE_URL and MASTER_KEY. */
async function run(): Promise<void> {
  const { values, positionals } = parseArgs({
    options: { 'revoke-others': { type: 'boolean', default: false } },
    allowPositionals: true,
  });
  const name = (positionals[0] ?? DEFAULT_NAME).trim();
  if (positionals.length > 1 || !NAME_PATTERN.test(name)) throw new Error(USAGE);
  const config = loadConfig(configSchema);
  const pool = createPool({ url: config.DATABASE_URL, max: 1, name: 'operator-reset' });
  try {
    await assertSchemaVersion(pool);
    await assertMasterKey(pool, config.MASTER_KEY);
    const { token, revoked } = await resetOperator(pool, config.MASTER_KEY, {
      name,
      revokeOthers: values['revoke-others'],
    });
    process.stdout.write(
      `A new operator token with full access for "${name}". It is shown this once:\n\n  ${token}\n\n`,
    );
    if (revoked.length > 0) {
      process.stdout.write(`Revoked: ${revoked.map((other) => `"${other}"`).join(', ')}.\n`);
    }
  } finally {
    await pool.end();
  }
}

run().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
