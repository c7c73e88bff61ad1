import { appendFileSync, existsSync, writeFileSync } from 'node:fs';
import type { Judgement } from '../books/judge-run.js';
import { whyUnpaid } from '../books/unpaid.js';
import { FAULT_KINDS } from '../faults/fault-kinds.js';
import type { StruckFault } from '../faults/fault-schedule.js';
import { storyOf } from './stories.js';

/** Everything that a run tells about itself. */
export interface RunReport {
  readonly seed: number;
  readonly seconds: number;
  readonly timeScale: number;
  readonly sabotage: string | null;
  readonly scenario: string | null;
  /** Milliseconds that the servers and processes took to come to rest. */
  readonly quietAfterMs: number;
  readonly faults: readonly StruckFault[];
  /** Deaths at named points, by point. */
  readonly points: ReadonlyMap<string, number>;
  readonly faultFailures: readonly string[];
  readonly operations: ReadonlyMap<string, number>;
  /** How often each process was started. */
  readonly starts: Readonly<Record<string, number>>;
  readonly unrest: readonly string[];
  readonly judgement: Judgement;
}

const STORIES_MAX = 12;

/** What the run counts, by name. */
export function tallyOf(report: RunReport): {
  faults: Record<string, number>;
  requests: Record<string, number>;
  unpaid: Record<string, number>;
  violations: Record<string, number>;
} {
  const faults: Record<string, number> = {};
  for (const { kind } of report.faults) faults[kind] = (faults[kind] ?? 0) + 1;
  const deaths = [...report.points.values()].reduce((sum, count) => sum + count, 0);
  if (deaths > 0) faults['killed at a named point'] = deaths;
  const requests: Record<string, number> = {};
  for (const { sent, truth, swept } of report.judgement.cases) {
    const books =
      truth.length > 0
        ? swept.length > 0
          ? 'swept, then corrected'
          : 'settled'
        : swept.length > 0
          ? 'swept'
          : 'no record';
    const code =
      sent.outcome === 'refused' || sent.outcome === 'ended with an error'
        ? ` (${String(sent.errorCode)})`
        : '';
    const key = `${sent.outcome}${code}: ${books}`;
    requests[key] = (requests[key] ?? 0) + 1;
  }
  const unpaid: Record<string, number> = {};
  for (const why of report.judgement.cases.map(whyUnpaid)) {
    if (why !== null) unpaid[why] = (unpaid[why] ?? 0) + 1;
  }
  const violations: Record<string, number> = {};
  for (const { rule } of report.judgement.violations) violations[rule] = (violations[rule] ?? 0) + 1;
  return { faults, requests, unpaid, violations };
}

/** Whether the run found nothing to complain of. */
export function isClean({ judgement, unrest }: RunReport): boolean {
  return judgement.violations.length === 0 && unrest.length === 0;
}

function verdictOf(report: RunReport): string {
  if (!isClean(report)) return 'FAILED';
  const lostDisks = report.faults.some(({ kind }) => FAULT_KINDS[kind]?.losesCopy === 'journal');
  const lost = lostDisks ? 'nothing lost but with a disk' : 'nothing lost';
  return `${lost}, nothing charged twice, no wrong amount`;
}

/** The report as Markdown; with the stories of what went wrong. */
export function describeRun(report: RunReport): string {
  const { seed, seconds, timeScale, sabotage, scenario, judgement, unrest, operations, starts } = report;
  const tally = tallyOf(report);
  const sum = (counts: Record<string, number>): number =>
    Object.values(counts).reduce((total, count) => total + count, 0);
  const stories = judgement.violations
    .map(
      (violation) =>
        storyOf(violation, judgement.cases, report.faults) ??
        `${violation.rule} ${violation.ref}: ${violation.detail}`,
    )
    .slice(0, STORIES_MAX);
  return [
    `## Seed ${seed}, ${seconds} s${scenario === null ? '' : `, ${scenario}`}${sabotage === null ? '' : `, sabotaged: ${sabotage}`}`,
    '',
    `Verdict: **${verdictOf(report)}**. ${sum(tally.requests)} requests, ${sum(tally.faults)} faults of ${Object.keys(tally.faults).length} kinds, time scale ${timeScale}, at rest after ${(report.quietAfterMs / 1_000).toFixed(1)} s.`,
    '',
    table('fault', tally.faults),
    table('killed at the named point', Object.fromEntries(report.points)),
    table('request: books', tally.requests),
    table('delivered, and not or not wholly paid for', tally.unpaid),
    table('operation', Object.fromEntries(operations)),
    table('process, started', starts),
    table('sum', judgement.sums),
    table('violation', {
      ...tally.violations,
      ...(unrest.length > 0 && { [`not at rest: ${unrest.join(', ')}`]: 1 }),
    }),
    ...(report.faultFailures.length > 0
      ? ['Faults that did not work out:', ...report.faultFailures.map((line) => `- ${line}`), '']
      : []),
    ...(stories.length > 0 ? ['```text', ...stories, '```', ''] : []),
  ].join('\n');
}

const TITLE = `# Crash test report

What \`npm run chaos\` found, run by run; see [the crash test](chaos.md).

`;

/** Adds the report to a Markdown file, which may have those of other runs, and writes a JSON file of its own beside it. */
export function writeReport(report: RunReport, file: string): void {
  if (!existsSync(file)) writeFileSync(file, TITLE);
  appendFileSync(file, `${describeRun(report)}\n`);
  const { judgement, faults, points, operations, ...rest } = report;
  const json = {
    ...rest,
    isClean: isClean(report),
    ...tallyOf(report),
    points: Object.fromEntries(points),
    operations: Object.fromEntries(operations),
    sums: Object.fromEntries(
      Object.entries(judgement.sums).map(([name, amount]) => [name, amount.toString()]),
    ),
    struck: faults,
    violations: judgement.violations,
  };
  writeFileSync(`${file.replace(/\.md$/, '')}-${report.seed}.json`, `${JSON.stringify(json, null, 2)}\n`);
}

function table(name: string, counts: Readonly<Record<string, number | bigint>>): string {
  const rows = Object.entries(counts).sort(([a], [b]) => (a < b ? -1 : 1));
  if (rows.length === 0) return `No ${name}.\n`;
  return [
    `| ${name} | count |`,
    '| --- | ---: |',
    ...rows.map(([key, count]) => `| ${key} | ${count} |`),
    '',
  ].join('\n');
}
