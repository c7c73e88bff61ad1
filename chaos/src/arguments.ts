import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { FAULT_KINDS } from './faults/fault-kinds.js';
import { SABOTAGES } from './sabotage/sabotages.js';

const SEED_MAX = 2 ** 31 - 1;

/** What `npm run chaos -- …` was told. */
export interface RunArguments {
  readonly seconds: number;
  readonly seed: number;
  readonly kinds: readonly string[];
  readonly sabotage: string | null;
  readonly scenario: 'postgres-outage' | null;
  readonly requestsPerSecond: number;
  readonly faultsPerSecond: number;
  readonly timeScale: number;
  /** Where the report goes, a Markdown file; a JSON file is written beside it. */
  readonly report: string | null;
  /** Where logs and journals are kept. */
  readonly keep: string | null;
}

const schema = z.object({
  seconds: z.coerce.number().int().min(5).max(86_400).default(60),
  seed: z.coerce.number().int().min(1).max(SEED_MAX).optional(),
  'fault-kinds': z.string().optional(),
  sabotage: z.enum(Object.keys(SABOTAGES)).optional(),
  scenario: z.enum(['postgres-outage']).optional(),
  rate: z.coerce.number().min(1).max(1_000).default(100),
  faults: z.coerce.number().min(0).max(10).default(0.6),
  'time-scale': z.coerce.number().min(0.05).max(1).default(0.1),
  report: z.string().optional(),
  keep: z.string().optional(),
});

/** @throws Error that says what is wrong. */
export function readArguments(args: readonly string[]): RunArguments {
  const options = Object.fromEntries(
    Object.keys(schema.shape).map((name) => [name, { type: 'string' as const }]),
  );
  const read = schema.safeParse(parseArgs({ args: [...args], options }).values);
  if (!read.success) throw new Error(z.prettifyError(read.error));
  const given = read.data;
  return {
    seconds: given.seconds,
    seed: given.seed ?? randomInt(1, SEED_MAX),
    kinds: readKinds(given['fault-kinds']),
    sabotage: given.sabotage ?? null,
    scenario: given.scenario ?? null,
    requestsPerSecond: given.rate,
    faultsPerSecond: given.faults,
    timeScale: given['time-scale'],
    report: given.report ?? null,
    keep: given.keep ?? null,
  };
}

/** Without a word all that leave usage at least one of its copies, whatever comes together; lost disks only if asked for. */
function readKinds(text: string | undefined): string[] {
  const known = Object.keys(FAULT_KINDS);
  if (text === undefined) return known.filter((name) => FAULT_KINDS[name]?.losesCopy !== 'journal');
  if (text === 'all') return known;
  const kinds = text.split(',').map((name) => name.trim());
  const stranger = kinds.find((name) => !known.includes(name));
  if (stranger !== undefined) {
    throw new Error(`there is no fault "${stranger}"; there are: all, ${known.join(', ')}`);
  }
  return kinds;
}
