import { measureGatewayCost } from './gateway-cost.js';
import { measureHolds } from './holds.js';
import { measureLargeDatabase } from './large-database.js';
import { measureSettling } from './settling.js';

const [name = 'gateway', accounts] = process.argv.slice(2);

const BENCHMARKS: Readonly<Record<string, () => Promise<void>>> = {
  gateway: measureGatewayCost,
  holds: measureHolds,
  settle: measureSettling,
  large: () => measureLargeDatabase(accounts === undefined ? undefined : Number(accounts)),
};

const measure = BENCHMARKS[name];
if (measure === undefined) {
  process.stderr.write(`no benchmark ${name}: there are ${Object.keys(BENCHMARKS).join(', ')}\n`);
  process.exitCode = 1;
} else {
  await measure();
}
