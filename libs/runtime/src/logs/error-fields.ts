import { types } from 'node:util';

/** How many causes of causes a log line tells of. */
const CAUSES_MAX = 5;

/** What an error says of itself in a log line. */
export interface ErrorFields {
  readonly type: string;
  readonly message: string;
  /** Where it was thrown, without the message. */
  readonly stack?: string;
  readonly code?: string | number;
  /** Postgres: the constraint that was broken. */
  readonly constraint?: string | number;
  readonly cause?: ErrorFields;
}

/**
 * What may be told of an error: a fixed choice of members, because drivers and clients hang whatever they had on their errors,
 * the parameters of a query and the bodies of requests among it.
 */
export function errorFields(error: unknown, causesMax = CAUSES_MAX): ErrorFields {
  if (!isError(error)) return { type: typeof error, message: 'something was thrown that is no error' };
  const { name, message, stack, cause } = error;
  return {
    type: name,
    // A parser's message quotes what it could not read, and that may be a prompt.
    message: name === 'SyntaxError' ? 'a text could not be parsed' : message,
    ...(stack !== undefined && { stack: framesOf(stack) }),
    ...memberOf(error, 'code'),
    ...memberOf(error, 'constraint'),
    ...(isError(cause) && causesMax > 0 && { cause: errorFields(cause, causesMax - 1) }),
  };
}

/** Errors of another realm are errors too. */
function isError(value: unknown): value is Error {
  return value instanceof Error || types.isNativeError(value);
}

function framesOf(stack: string): string {
  return stack
    .split('\n')
    .filter((line) => /^\s+at /.test(line))
    .join('\n');
}

function memberOf(error: Error, name: string): Record<string, string | number> {
  const value: unknown = Object.getOwnPropertyDescriptor(error, name)?.value;
  return typeof value === 'string' || typeof value === 'number' ? { [name]: value } : {};
}
