import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { IDEMPOTENCY_HEADER, documentsHeader } from '../http/openapi.js';
import { Problem } from '../http/problem.js';
import { idempotencyKeyField } from './transfer.schema.js';

/** What makes a money call the same call when it comes again. */
export interface IdempotentRequest {
  readonly route: string;
  readonly key: string;
  readonly body: unknown;
}

/** What a money call answers: the first time, or again what it answered then. */
export interface OnceAnswer {
  readonly answer: unknown;
  readonly replayed: boolean;
}

/** The `Idempotency-Key` of a money call with what it stands for. The route's name is part of what is stored. */
export const IdempotentCallOf = createParamDecorator(
  (route: string, context: ExecutionContext): IdempotentRequest => {
    const { headers, body } = context.switchToHttp().getRequest<FastifyRequest>();
    const key = headers['idempotency-key'];
    if (key === undefined || key === '') {
      throw new Problem(
        'idempotency_key_missing',
        'Send an Idempotency-Key: the same key never moves money twice.',
      );
    }
    const parsed = idempotencyKeyField.safeParse(key);
    if (parsed.success) return { route, key: parsed.data, body };
    throw new Problem('validation_failed', 'The Idempotency-Key is not valid.', {
      errors: parsed.error.issues.map(({ message }) => ({ pointer: '/Idempotency-Key', message })),
    });
  },
  [
    documentsHeader({
      name: IDEMPOTENCY_HEADER,
      required: true,
      description: 'The same key with the same body never moves credits twice.',
      schema: { type: 'string', minLength: 1, maxLength: 255 },
    }),
  ],
);

/** 201 for what was done now, 200 for what had been done before. */
export function answerOnce(reply: FastifyReply, { answer, replayed }: OnceAnswer): unknown {
  void reply.status(replayed ? 200 : 201);
  if (replayed) void reply.header('idempotent-replayed', 'true');
  return answer;
}
