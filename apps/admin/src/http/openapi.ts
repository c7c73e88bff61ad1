import { applyDecorators } from '@nestjs/common';
import {
  ApiExtension,
  ApiHeader,
  ApiOperation,
  ApiProduces,
  ApiResponse,
  type ApiHeaderOptions,
} from '@nestjs/swagger';
import { z } from 'zod';
import type { ProblemCode } from './problem.js';

/** What the document says of a handler's answer beside its schema. */
export interface AnswerOptions {
  /** Of the answer when all is well: 201 for a POST, 204 for an answer without a body, else 200. */
  readonly status?: number;
  readonly description?: string;
  /** The schema is that of one item of a page. */
  readonly page?: boolean;
  /** The answer has an ETag: the handler returns `Tagged`. */
  readonly etag?: boolean;
  /** One line that says what the operation does; made of its id if nothing is given. */
  readonly summary?: string;
  /** The operation's name in generated clients; made of the method's and the controller's names if none is given. */
  readonly id?: string;
  /** Media types of a file; the schema is null then. */
  readonly files?: readonly string[];
  /** The codes of refusals with 409 and 429 that this operation has; all others follow from what it takes. */
  readonly problems?: readonly ProblemCode[];
}

/** Stands for the status of success until the document is made: a decorator does not know the method of its handler. */
export const SUCCESS = '2XX';

/** The headers that decide which refusals and answers an operation has. */
export const IDEMPOTENCY_HEADER = 'Idempotency-Key';
export const IF_MATCH_HEADER = 'If-Match';

/** Where an operation's own problem codes wait for the document to be made. */
export const PROBLEMS_EXTENSION = 'x-problem-codes';

/**
 * Says what a handler answers: the schema of the body (an object with a name: `.meta({ id: 'Account' })`), or null for
 * none. Every handler of this API has one; what it takes is known from its `@Body`, `@Query` and `@Param` schemas.
 */
export function Answers(schema: z.ZodType | null, options: AnswerOptions = {}): MethodDecorator {
  const { status = SUCCESS, description = '', page = false, etag = false, files, problems = [] } = options;
  return applyDecorators(
    ApiOperation({
      ...(options.id !== undefined && { operationId: options.id }),
      ...(options.summary !== undefined && { summary: options.summary }),
    }),
    ApiExtension(PROBLEMS_EXTENSION, problems),
    ...(files === undefined ? [] : [ApiProduces(...files)]),
    ApiResponse({
      status,
      description,
      ...(schema !== null && { standardSchema: page ? pageSchema(schema) : schema }),
      ...(files !== undefined && { schema: { type: 'string' } }),
      ...(etag && { headers: { ETag: { $ref: '#/components/headers/ETag' } } }),
    }),
  );
}

/** For `createParamDecorator`: every handler with this parameter takes the header, and the document says so. */
export function documentsHeader(header: ApiHeaderOptions): ParameterDecorator {
  return (target, key) => {
    if (key === undefined) return;
    const descriptor = Object.getOwnPropertyDescriptor(target, key);
    if (descriptor !== undefined) ApiHeader(header)(target, key, descriptor);
  };
}

/** A page of a list, whose name is that of its items. */
function pageSchema(item: z.ZodType): z.ZodType {
  const name = item.meta()?.id;
  const page = z.strictObject({ data: z.array(item), nextCursor: z.string().nullable() });
  return name === undefined ? page : page.meta({ id: `${name}Page` });
}
