import { pointerOf } from './json-pointer.js';
import type { FieldError } from './problem.js';

/** Deeper than any document of this API, and far from the depth at which a recursive reader runs out of stack. */
const DEPTH_MAX = 32;

interface Visit {
  readonly value: unknown;
  readonly path: readonly string[];
}

/**
 * The first value of a parsed input that Postgres cannot hold as it is: text with NUL characters or lone surrogates
 * (names of fields too), numbers beyond a double, or deeper nesting than any schema reads. Null when there is none.
 * Runs without recursion, so that the input cannot exhaust the stack.
 */
export function findUnstorableValue(input: unknown): FieldError | null {
  const open: Visit[] = [{ value: input, path: [] }];
  for (let visit = open.pop(); visit !== undefined; visit = open.pop()) {
    const { value, path } = visit;
    const message = path.length > DEPTH_MAX ? 'is nested too deeply' : scalarProblem(value);
    if (message !== null) return { pointer: pointerOf(path), message };
    if (typeof value !== 'object' || value === null) continue;
    for (const [key, member] of Object.entries(value)) {
      const keyProblem = scalarProblem(key);
      if (keyProblem !== null) return { pointer: pointerOf(path), message: `a field name ${keyProblem}` };
      open.push({ value: member, path: [...path, key] });
    }
  }
  return null;
}

function scalarProblem(value: unknown): string | null {
  if (typeof value === 'number') return Number.isFinite(value) ? null : 'is too large a number';
  if (typeof value !== 'string') return null;
  if (value.includes('\0')) return 'contains a NUL character';
  return /\p{Surrogate}/u.test(value) ? 'is not well-formed Unicode' : null;
}
