import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { tracingSettings } from './tracing/tracing-config.js';

/** The environment does not describe a process that can start. The message names variables, never their values. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/**
 * What a process exits with whose environment is wrong (EX_CONFIG of sysexits.h): starting it again as it is will not
 * help, and whoever keeps it running may say so instead of trying.
 */
export const EXIT_CONFIG = 78;

const FILE_SUFFIX = '_FILE';

/**
 * Parses the environment with a process's schema, once, before anything starts. This is the only reader of
 * `process.env`. An empty variable counts as not set. A variable of the schema may also be given as `<NAME>_FILE`, the
 * path of a file with the value; the variable itself wins.
 * @throws ConfigError naming every variable that is missing or wrong.
 */
export function loadConfig<T>(
  schema: z.ZodType<T>,
  environment: NodeJS.ProcessEnv = process.env,
): Readonly<T> {
  const given = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== ''));
  const names = schema instanceof z.ZodObject ? Object.keys(schema.shape) : [];
  const files = readFiles(names, given);
  const parsed = schema.safeParse({ ...files.values, ...given });
  if (parsed.success && files.problems.length === 0) return Object.freeze(parsed.data);
  const problems = (parsed.error?.issues ?? [])
    .filter(({ path }) => !files.unreadable.has(String(path[0])))
    .map(({ path, message }) => `${path.join('.') || 'environment'}: ${message}`);
  const lines = [...files.problems, ...problems].map((problem) => `  ${problem}`);
  throw new ConfigError(`The configuration is not valid:\n${lines.join('\n')}`);
}

interface ValuesOfFiles {
  readonly values: Record<string, string>;
  /** Variables whose file could not be read: that they are missing then goes without saying. */
  readonly unreadable: Set<string>;
  readonly problems: string[];
}

/** Reads the variables that are given as files. A line break at the end of a file is not part of the value. */
function readFiles(names: readonly string[], given: NodeJS.ProcessEnv): ValuesOfFiles {
  const files: ValuesOfFiles = { values: {}, unreadable: new Set(), problems: [] };
  for (const name of names) {
    const path = given[name + FILE_SUFFIX];
    if (path === undefined || given[name] !== undefined) continue;
    try {
      const value = readFileSync(path, 'utf8').replace(/\r?\n$/, '');
      if (value !== '') files.values[name] = value;
    } catch (error) {
      const code =
        typeof error === 'object' && error !== null && 'code' in error ? ` (${String(error.code)})` : '';
      files.unreadable.add(name);
      files.problems.push(`${name}${FILE_SUFFIX}: ${path} cannot be read${code}`);
    }
  }
  return files;
}

/** The environment as it is, to hand on to a child process. */
export function inheritedEnvironment(): NodeJS.ProcessEnv {
  return { ...process.env };
}

/** A TCP port; 0 takes any free one. */
export const portSchema = z.coerce.number('must be a port number').int().min(0).max(65_535);

/** The URL of a Postgres database. What it stands for is only known once it was connected to. */
export const postgresUrlSchema = z.string().regex(/^postgres(ql)?:\/\//, 'must be a postgres:// URL');

/** More than a proxy needs to notice, and less than whoever stops a process waits beyond its drain. */
const DRAIN_DELAY_MAX_MS = 10_000;

/** What every process reads. */
export const processConfigSchema = z.object({
  HOST: z.string().default('127.0.0.1'),
  /** Redis for the queue; without it the queue is in Postgres. */
  REDIS_URL: z
    .string()
    .refine(
      (url) => /^rediss?:\/\/[^/]/.test(url) && URL.canParse(url),
      'must be a redis:// or rediss:// URL',
    )
    .optional(),
  /** How long a process that is to stop goes on serving, no longer ready, so that whoever sends it requests notices. */
  DRAIN_DELAY_MS: z.coerce.number('must be milliseconds').int().min(0).max(DRAIN_DELAY_MAX_MS).default(0),
  /** The bearer token that `/metrics` asks for; without it only this machine may read them. */
  METRICS_TOKEN: z
    .string()
    .regex(/^[\x21-\x7e]{16,512}$/, 'must be 16 to 512 visible ASCII characters')
    .optional(),
  ...tracingSettings,
  LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info'),
});
