import { Injectable, type ArgumentMetadata, type PipeTransform } from '@nestjs/common';
import { z } from 'zod';
import { pointerOf } from './json-pointer.js';
import { pageParameters } from './page.js';
import { Problem, type FieldError } from './problem.js';
import { findUnstorableValue } from './unstorable-value.js';

/** A body can hold ten thousand unknown fields; nobody reads more than these. */
const ERRORS_MAX = 50;

/**
 * The one place where what a caller sent becomes what a service receives: every `@Body`, `@Query` and `@Param` that
 * carries a schema is parsed by it. What does not fit is a 422 that points at each field; a path parameter that does
 * not fit names nothing that exists, so it is a 404.
 */
@Injectable()
export class InputPipe implements PipeTransform<unknown, unknown> {
  transform(value: unknown, { schema, type }: ArgumentMetadata): unknown {
    if (!(schema instanceof z.ZodType)) return value;
    const parsed = parseInput(schema, value, { isQuery: type === 'query' });
    if (parsed.success) return parsed.data;
    if (type === 'param') throw new Problem('not_found', 'There is no such resource.');
    throw new Problem('validation_failed', summaryOf(parsed.errors), { errors: parsed.errors });
  }
}

interface InputKind {
  readonly isQuery: boolean;
}

type ParsedInput<T> = { success: true; data: T } | { success: false; errors: FieldError[] };

/** Parses one input with its schema; never throws. */
export function parseInput<T>(
  schema: z.ZodType<T>,
  value: unknown,
  { isQuery }: InputKind = { isQuery: false },
): ParsedInput<T> {
  const unstorable = findUnstorableValue(value);
  if (unstorable !== null) return { success: false, errors: [unstorable] };
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed;
  const errors = parsed.error.issues.flatMap((issue) => fieldErrors(issue, isQuery));
  return { success: false, errors: errors.slice(0, ERRORS_MAX) };
}

/** What a list takes to give one page after the other. */
const PAGE_PARAMETERS: ReadonlySet<string> = new Set(Object.keys(pageParameters));

function fieldErrors(issue: z.core.$ZodIssue, isQuery: boolean): FieldError[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.slice(0, ERRORS_MAX).map((key) => ({
      pointer: pointerOf([...issue.path, key]),
      message:
        isQuery && PAGE_PARAMETERS.has(key) ? 'is not known here: this has no pages' : 'is not a known field',
    }));
  }
  return [{ pointer: pointerOf(issue.path), message: issue.message }];
}

function summaryOf(errors: readonly FieldError[]): string {
  const fields = errors.length === 1 ? 'a field' : `${errors.length} fields`;
  return `The request has ${fields} that ${errors.length === 1 ? 'is' : 'are'} not valid.`;
}
