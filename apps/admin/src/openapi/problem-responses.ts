import type { OpenAPIObject } from '@nestjs/swagger';
import { z } from 'zod';
import { PROBLEMS, type ProblemCode } from '../http/problem.js';

type Components = NonNullable<OpenAPIObject['components']>;
type Responses = NonNullable<Components['responses']>;

export const PROBLEM_MEDIA_TYPE = 'application/problem+json';

/** The body of every refusal (RFC 9457). */
export const problemSchema = z
  .strictObject({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string().meta({ description: 'What is wrong and what to do about it, for people.' }),
    code: z.string().meta({ description: 'What programs decide by. It never changes.' }),
    requestId: z.string().meta({ description: 'What the log calls this request.' }),
    errors: z
      .array(z.strictObject({ pointer: z.string(), message: z.string() }))
      .optional()
      .meta({
        description:
          'The fields that are wrong: JSON Pointers into the body, or to a parameter of the query.',
      }),
  })
  .meta({ id: 'Problem' });

/** The headers that a refusal has beside the one of every answer. */
const HEADER_BY_STATUS: Readonly<Record<number, string>> = { 401: 'WWW-Authenticate', 503: 'Retry-After' };

/** The refusals of one operation: each status refers to a response that all operations with the same codes share. */
export class ProblemResponses {
  /** By name, what the document has to define. */
  readonly components: Responses = {};

  /** The responses for these codes, by status. */
  refer(codes: ReadonlySet<ProblemCode>): Record<string, { $ref: string }> {
    const statuses = new Set([...codes].map((code) => PROBLEMS[code].status));
    return Object.fromEntries(
      [...statuses].map((status) => {
        const codesOfStatus = [...codes].filter((code) => PROBLEMS[code].status === status).sort();
        const name = codesOfStatus.map(pascalCase).join('Or');
        this.components[name] ??= problemResponse(status, codesOfStatus);
        return [String(status), { $ref: `#/components/responses/${name}` }];
      }),
    );
  }
}

function problemResponse(status: number, codes: readonly ProblemCode[]): Responses[string] {
  const extraHeader = HEADER_BY_STATUS[status];
  return {
    description: codes.map((code) => `${PROBLEMS[code].title} (\`${code}\`).`).join(' '),
    headers: {
      'x-request-id': { $ref: '#/components/headers/x-request-id' },
      ...(extraHeader !== undefined && {
        [extraHeader]: { $ref: `#/components/headers/${extraHeader}` },
      }),
    },
    content: {
      [PROBLEM_MEDIA_TYPE]: {
        schema: {
          allOf: [
            { $ref: '#/components/schemas/Problem' },
            { type: 'object', properties: { code: { type: 'string', enum: [...codes] } } },
          ],
        },
      },
    },
  };
}

function pascalCase(code: string): string {
  return code.replace(/(?:^|_)([a-z])/g, (_match, letter: string) => letter.toUpperCase());
}
