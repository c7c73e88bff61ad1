import { z } from 'zod';

/** The environment does not describe a process that can start. The message names variables, never their values. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/**
 * Parses the environment with a process's schema, once, before anything starts. This is the only reader of
 * `process.env`. An empty variable counts as not set.
 * @throws ConfigError naming every variable that is missing or wrong.
 */
export function loadConfig<T>(
  schema: z.ZodType<T>,
  environment: NodeJS.ProcessEnv = process.env,
): Readonly<T> {
  const given = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== ''));
  const parsed = schema.safeParse(given);
  if (parsed.success) return Object.freeze(parsed.data);
  const problems = parsed.error.issues.map(
    (issue) => `  ${issue.path.join('.') || 'environment'}: ${issue.message}`,
  );
  throw new ConfigError(`The configuration is not valid:\n${problems.join('\n')}`);
}

/** The environment as it is, to hand on to a child process. */
export function inheritedEnvironment(): NodeJS.ProcessEnv {
  return { ...process.env };
}

/** A TCP port; 0 takes any free one. */
export const portSchema = z.coerce.number('must be a port number').int().min(0).max(65_535);

/** What every process reads. */
export const processConfigSchema = z.object({
  HOST: z.string().default('127.0.0.1'),
  /** The Redis mode is not built yet; a variable that is silently ignored would be worse than none. */
  REDIS_URL: z.undefined('Redis is not supported by this version yet: unset it').optional(),
  LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info'),
});
