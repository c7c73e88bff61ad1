import assert from 'node:assert/strict';
import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { OperatorAccess } from '@tollgate/persistence';
import type { FastifyRequest } from 'fastify';

/** Who is asking, known before anything else of a request is read. */
export interface Operator {
  readonly tokenId: string;
  readonly name: string;
  readonly access: OperatorAccess;
}

/** An operator in one request: what the audit log writes down for a change. */
export interface Actor {
  readonly operator: Operator;
  /** In the form that the answer carries. */
  readonly requestId: string;
}

declare module 'fastify' {
  interface FastifyRequest {
    operator: Operator | null;
  }
}

/** The operator who is asking, as the first argument of a handler. */
export const CurrentActor = createParamDecorator((_data: unknown, context: ExecutionContext): Actor => {
  const { operator, id } = context.switchToHttp().getRequest<FastifyRequest>();
  assert(operator !== null, 'a handler runs for an authenticated operator only');
  return { operator, requestId: id };
});
