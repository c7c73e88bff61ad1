import { poolSql } from '@tollgate/ledger';
import { assertSchemaVersion, createPool } from '@tollgate/persistence';
import { loadConfig } from '@tollgate/runtime';
import { auditBooks, auditReport } from './audit/audit-books.js';
import { billingConfigSchema } from './billing.config.js';

const EXIT_WRONG = 1;
/** Nothing is known about the books. */
const EXIT_NOT_CHECKED = 2;

const configSchema = billingConfigSchema.pick({ DATABASE_URL: true });

/** Checks all of the books, prints what was checked and what is wrong. Reads DATABASE_URL. */
async function run(): Promise<void> {
  const config = loadConfig(configSchema);
  const pool = createPool({ url: config.DATABASE_URL, max: 1, name: 'audit' });
  try {
    await assertSchemaVersion(pool);
    const audit = await auditBooks(poolSql(pool));
    process.stdout.write(auditReport(audit));
    if (audit.violations.length > 0) process.exitCode = EXIT_WRONG;
  } finally {
    await pool.end();
  }
}

run().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = EXIT_NOT_CHECKED;
});
