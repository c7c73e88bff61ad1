import { listClosedDays, verifyDay, type ClosedDay, type Sql } from '@tollgate/ledger';
import { z } from 'zod';

/** What an audit looked at, and what it found wrong: each a line for people. */
export interface BookAudit {
  readonly accountCount: string;
  readonly transferCount: string;
  readonly usageCount: string;
  /** Of escrows too. */
  readonly holdCount: string;
  readonly days: readonly ClosedDay[];
  /** The first thousand of each kind. */
  readonly violations: readonly string[];
}

const VIOLATIONS_MAX = 1_000;
const countsRow = z.object({
  accounts: z.string(),
  transfers: z.string(),
  usages: z.string(),
  holds: z.string(),
});
const violationRow = z.object({ invariant: z.string(), ref: z.string(), detail: z.string() });

/** Checks every invariant for every account, and every closed day with its transfers. Reads whole tables and changes nothing. */
export async function auditBooks(sql: Sql): Promise<BookAudit> {
  const [row] = await sql(
    `SELECT (SELECT count(*) FROM tollgate.account) AS accounts, (SELECT count(*) FROM tollgate.transfer) AS transfers,
            (SELECT count(*) FROM tollgate.usage_record) AS usages, (SELECT count(*) FROM tollgate.reservation) AS holds`,
  );
  const counts = countsRow.parse(row);
  const found = await sql('SELECT * FROM tollgate.ledger_violation LIMIT $1', [VIOLATIONS_MAX]);
  const violations = found.map((one) => {
    const { invariant, ref, detail } = violationRow.parse(one);
    return `${invariant} ${ref}: ${detail}`;
  });
  const days = await listClosedDays(sql);
  for (const { day } of days) {
    for (const problem of await verifyDay(sql, day)) violations.push(`day ${day}: ${problem}`);
  }
  return {
    accountCount: counts.accounts,
    transferCount: counts.transfers,
    usageCount: counts.usages,
    holdCount: counts.holds,
    days,
    violations,
  };
}

/** An audit as text, one line for each thing. */
export function auditReport(audit: BookAudit): string {
  const { accountCount, transferCount, usageCount, holdCount, days, violations } = audit;
  const [first, last] = [days[0], days.at(-1)];
  const lines = [
    `Checked every invariant of ${accountCount} accounts, ${transferCount} transfers, ${usageCount} usage records and ` +
      `${holdCount} holds and escrows.`,
    first === undefined || last === undefined
      ? 'No day is closed yet.'
      : `Verified ${String(days.length)} closed days, ${first.day} to ${last.day}, with all of their transfers. ` +
        `The hash of ${last.day} is ${last.hash}.`,
    ...violations.map((violation) => `WRONG ${violation}`),
    violations.length === 0
      ? 'The books are right.'
      : `The books are wrong: ${String(violations.length)} violations.`,
  ];
  return `${lines.join('\n')}\n`;
}
