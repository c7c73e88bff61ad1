import { parseArgs } from 'node:util';
import { assertMasterKey, assertSchemaVersion, createPool } from '@tollgate/persistence';
import { loadConfig } from '@tollgate/runtime';
import { adminConfigSchema } from './admin.config.js';
import { resetOperator } from './auth/reset-operator.js';

const DEFAULT_NAME = 'First run';
const NAME_PATTERN = /^\P{Cc}{1,200}$/u;
const USAGE = `Usage: npm run operator:reset -- [NAME] [--revoke-others]
Makes a new operator token with full access for NAME ("${DEFAULT_NAME}" if none is given) and shows it once.
An active token of that name is replaced: it is void then. --revoke-others ends the tokens of all others too.`;

const configSchema = adminConfigSchema.pick({ DATABASE_URL: true, MASTER_KEY: true });

/** Prints a new operator token with full access, for when nobody has one any more. Reads DATABASE_URL and MASTER_KEY. */
async function run(): Promise<void> {
  const { name, revokeOthers } = readWords();
  const config = loadConfig(configSchema);
  const pool = createPool({ url: config.DATABASE_URL, max: 1, name: 'operator-reset' });
  try {
    await assertSchemaVersion(pool);
    await assertMasterKey(pool, config.MASTER_KEY);
    const { token, replaced, revoked } = await resetOperator(pool, config.MASTER_KEY, {
      name,
      revokeOthers,
    });
    if (replaced) {
      process.stdout.write(`The token of "${name}" that was valid until now is replaced: it is void.\n`);
    }
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

/** @throws Error with the usage */
function readWords(): { name: string; revokeOthers: boolean } {
  let words;
  try {
    words = parseArgs({
      options: { 'revoke-others': { type: 'boolean', default: false } },
      allowPositionals: true,
    });
  } catch (cause) {
    throw new Error(USAGE, { cause });
  }
  const { values, positionals } = words;
  const name = (positionals[0] ?? DEFAULT_NAME).trim();
  if (positionals.length > 1 || !NAME_PATTERN.test(name)) throw new Error(USAGE);
  return { name, revokeOthers: values['revoke-others'] };
}

run().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
