import { z } from 'zod';

/** pino's level of an error; fatal is above it. */
const ERROR_LEVEL = 50;
const LINES_MAX = 12;

const logLine = z.object({
  level: z.number(),
  msg: z.string().default(''),
  err: z.object({ message: z.string() }).optional(),
});

/**
 * What a process that ended had to say, for a person: the messages of its errors without what surrounds them in the log.
 * Lines that are no log lines, such as those of Node itself, stay as they are; a process without errors has its last lines.
 */
export function lastWords(log: string): string {
  const lines = log.split('\n').filter((line) => line.trim() !== '');
  const errors = lines.flatMap(errorOf);
  return [...new Set(errors.length > 0 ? errors : lines)].slice(-LINES_MAX).join('\n');
}

function errorOf(line: string): string[] {
  const parsed = parse(line);
  if (parsed === null) return line.startsWith('{') ? [] : [line];
  const { level, msg, err } = parsed;
  if (level < ERROR_LEVEL) return [];
  if (err === undefined) return [msg];
  return [msg === '' || msg === err.message ? err.message : `${msg}: ${err.message}`];
}

function parse(line: string): z.output<typeof logLine> | null {
  try {
    return logLine.parse(JSON.parse(line));
  } catch {
    return null;
  }
}
