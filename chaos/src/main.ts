// npm run chaos -- --seconds N --seed S: see docs/chaos.md.
import { mkdirSync } from 'node:fs';
import { readArguments, type RunArguments } from './arguments.js';
import { describeRun, isClean, writeReport } from './report/run-report.js';
import { ChaosRun } from './run-chaos.js';

const EXIT_VIOLATED = 1;
const EXIT_USAGE = 2;

async function main(): Promise<void> {
  let args: RunArguments;
  try {
    args = readArguments(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = EXIT_USAGE;
    return;
  }
  if (args.keep !== null) mkdirSync(args.keep, { recursive: true });
  const startedAtMs = Date.now();
  const print = (line: string): void => {
    process.stdout.write(`${((Date.now() - startedAtMs) / 1_000).toFixed(1).padStart(6)} s  ${line}\n`);
  };
  print(
    `chaos: seed ${args.seed}, ${args.seconds} s (again: npm run chaos -- --seconds ${args.seconds} --seed ${args.seed})`,
  );
  const report = await new ChaosRun(args, print).run();
  process.stdout.write(`\n${describeRun(report)}\n`);
  if (args.report !== null) writeReport(report, args.report);
  process.exitCode = isClean(report) ? 0 : EXIT_VIOLATED;
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(EXIT_VIOLATED));
main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exit(EXIT_VIOLATED);
});
