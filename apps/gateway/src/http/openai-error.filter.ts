import { Catch, HttpException, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import { RequestProblem, errorEnvelope, type ErrorEnvelope } from '@tollgate/openai';
import type { Logger } from '@tollgate/runtime';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { GatewayError } from '../relay/gateway-errors.js';
import { BODY_BYTES_MAX } from './gateway-limits.js';
import { allowedMethods } from './known-paths.js';

interface Refusal {
  readonly status: number;
  readonly envelope: ErrorEnvelope;
  readonly headers: { readonly [name: string]: string };
}

/** Answers every error in OpenAI's envelope. Nothing that is not in the error table reaches a caller. */
@Catch()
export class OpenAiErrorFilter implements ExceptionFilter {
  constructor(private readonly logger: Logger) {}

  catch(error: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    this.answer(error, http.getRequest<FastifyRequest>(), http.getResponse<FastifyReply>());
  }

  /** Also for errors that Fastify raises outside of Nest's routes. */
  answer(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
    const refusal = toRefusal(error, request);
    if (refusal.status === 500) {
      this.logger.error({ err: error, requestId: request.id }, 'a request failed for a fault of ours');
    } else if (refusal.status === 503) {
      this.logger.warn({ err: error, requestId: request.id }, 'a request could not be served');
    }
    if (reply.sent || reply.raw.headersSent) {
      // The stream has begun: the only honest end that is left is a broken one.
      reply.raw.destroy();
      return;
    }
    void reply.status(refusal.status).headers(refusal.headers).send(refusal.envelope);
  }
}

function toRefusal(error: unknown, request: FastifyRequest): Refusal {
  if (error instanceof RequestProblem) {
    const { message, param, code } = error;
    const envelope = errorEnvelope({ message, type: 'invalid_request_error', param, code });
    return { status: 400, envelope, headers: {} };
  }
  return error instanceof GatewayError ? error : translate(error, request);
}

/** The members of a Fastify error that say what it is; anything else has none of them. */
const fastifyErrorSchema = z
  .object({
    code: z.string().optional().catch(undefined),
    statusCode: z.number().optional().catch(undefined),
  })
  .catch({});

/** What the frameworks raise, in the words of our table. */
function translate(error: unknown, request: FastifyRequest): GatewayError {
  const path = request.url.split('?', 1)[0] ?? '';
  if (error instanceof HttpException && error.getStatus() === 404) return unknownUrl(request.method, path);
  const { code, statusCode } = fastifyErrorSchema.parse(error);
  // Nest wraps what Fastify's body parser raises.
  const status = error instanceof HttpException ? error.getStatus() : statusCode;
  if (status === 413) {
    return new GatewayError('request_too_large', { limit: String(BODY_BYTES_MAX) });
  }
  if (code === 'FST_ERR_BAD_URL' || code === 'FST_ERR_MAX_PARAM_LENGTH') {
    return unknownUrl(request.method, path);
  }
  if (typeof status === 'number' && status >= 400 && status < 500) {
    return new GatewayError(
      'malformed_request',
      { reason: 'its body does not match its headers' },
      { cause: error },
    );
  }
  return new GatewayError('internal_error', {}, { cause: error });
}

function unknownUrl(method: string, path: string): GatewayError {
  const shown = path.slice(0, 200);
  const allowed = allowedMethods(path);
  if (allowed === null || allowed.includes(method)) {
    return new GatewayError('unknown_url', { method, path: shown });
  }
  const error = new GatewayError('method_not_supported', { method, path: shown });
  Object.assign(error, { headers: { allow: allowed.join(', ') } });
  return error;
}
