import { closeDays, poolSql, settleBatch, type Sql } from '@tollgate/ledger';
import { createPool } from '@tollgate/persistence';
import { MasterKey } from '@tollgate/runtime';
import {
  createTestDatabase,
  seedInstallation,
  usageEventOf,
  type SeededInstallation,
  type TestDatabase,
} from '@tollgate/testing';
import { Client, type Pool } from 'pg';
import { auditBooks, auditReport } from './audit-books.js';

// Real: Postgres, audited as the application role; whoever tampers is the owner.

let database: TestDatabase;
let seeded: SeededInstallation;
let owner: Client;
let app: Pool;
let sql: Sql;

function daysAgo(count: number): string {
  return new Date(Date.now() - count * 86_400_000).toISOString().slice(0, 10);
}

beforeEach(async () => {
  database = await createTestDatabase();
  seeded = await seedInstallation({
    ownerUrl: database.ownerUrl,
    masterKey: MasterKey.generate(),
    upstreams: ['http://127.0.0.1:9/v1'],
  });
  owner = new Client({ connectionString: database.ownerUrl });
  await owner.connect();
  app = createPool({ url: database.appUrl, max: 2, name: 'audit-spec' });
  sql = poolSql(app);
  await settleBatch(sql, [usageEventOf(seeded), usageEventOf(seeded)]);
  await owner.query(
    `UPDATE tollgate.transfer SET created_at = $1::timestamptz - (CASE WHEN kind = 'usage' THEN 1 ELSE 2 END) * interval '1 day'`,
    [`${daysAgo(0)}T12:00:00Z`],
  );
  await owner.query(
    `INSERT INTO tollgate.transfer_mark (transfer_id, noted_by) SELECT max(id), '3' FROM tollgate.transfer`,
  );
  await closeDays(sql, { patienceSeconds: 600, daysMax: 9 });
});

afterEach(async () => {
  await Promise.all([app.end(), owner.end()]);
  await database.drop();
});

describe('an audit', () => {
  it('finds sound books right, and says what it looked at', async () => {
    const audit = await auditBooks(sql);
    expect(audit.violations).toEqual([]);
    const report = auditReport(audit);
    expect(report).toContain(
      'Checked every invariant of 1 accounts, 3 transfers, 2 usage records and 0 holds and escrows.',
    );
    expect(report).toContain(`Verified 2 closed days, ${daysAgo(2)} to ${daysAgo(1)}`);
    expect(report).toContain(`The hash of ${daysAgo(1)} is ${audit.days[1]?.hash ?? 'missing'}.`);
    expect(report.endsWith('The books are right.\n')).toBe(true);
  });

  it('names the day of a transfer that somebody tampered with, though every balance still fits', async () => {
    await owner.query(`UPDATE tollgate.transfer SET note = 'never said' WHERE kind = 'top_up'`);
    const { violations } = await auditBooks(sql);
    expect(violations).toEqual([`day ${daysAgo(2)}: a transfer was changed after the close (ids 1 to 1)`]);
  });

  it('names the rows of a broken invariant, and the day', async () => {
    await owner.query(
      `UPDATE tollgate.transfer SET amount = amount + 1 WHERE id = (SELECT max(id) FROM tollgate.transfer)`,
    );
    const audit = await auditBooks(sql);
    expect(audit.violations).toEqual(
      expect.arrayContaining([
        expect.stringContaining(`posted_is_sum_of_transfers ${seeded.accountId}: posted`),
        expect.stringContaining(`day ${daysAgo(1)}: the sums were`),
        expect.stringContaining(`day ${daysAgo(1)}: a transfer was changed`),
      ]),
    );
    expect(auditReport(audit)).toContain('WRONG posted_is_sum_of_transfers');
    expect(auditReport(audit)).toContain(
      `The books are wrong: ${String(audit.violations.length)} violations.`,
    );
  });

  it('says so where no day is closed', async () => {
    await owner.query('ALTER TABLE tollgate.day_close DISABLE TRIGGER ALL; DELETE FROM tollgate.day_close');
    expect(auditReport(await auditBooks(sql))).toContain('No day is closed yet.');
  });
});
