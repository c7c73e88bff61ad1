import { Catch, HttpException, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import { RequestProblem, errorEnvelope, type ErrorEnvelope } from '@tollgate/openai';
import type { Logger } from '@tollgate/runtime';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { toDialect } from '../dialects/code-envelope.js';
import type { DialectChoice } from '../dialects/dialect-choice.js';
import { GatewayError } from '../relay/gateway-errors.js';
import type { GatewayMetrics } from '../telemetry/gateway-metrics.js';
import { clientRequestId } from './client-request-id.js';
import { isFromBrowser } from './cors.js';
import { refusePath } from './known-paths.js';

interface Refusal {
  readonly status: number;
  readonly envelope: ErrorEnvelope;
  readonly headers: { readonly [name: string]: string };
}

/** What requests are counted under whose parameters are wrong. */
const INVALID_REQUEST = 'invalid_request';

/**
 * Answers every error in OpenAI's envelope, or what the request's dialect makes of it. Nothing that is not in the error
 * table reaches a caller.
 */
@Catch()
export class OpenAiErrorFilter implements ExceptionFilter {
  constructor(
    private readonly logger: Logger,
    private readonly dialects: DialectChoice,
    private readonly metrics: GatewayMetrics,
  ) {}

  catch(error: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    this.answer(error, http.getRequest<FastifyRequest>(), http.getResponse<FastifyReply>());
  }

  /** Also for errors that Fastify raises outside of Nest's routes. */
  answer(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
    const refusal = toRefusal(error, request);
    this.metrics.refused(refusal instanceof GatewayError ? refusal.entry : INVALID_REQUEST, refusal.status);
    if (refusal.status === 500 || refusal.status === 503) this.log(refusal.status, error, request);
    if (reply.sent || reply.raw.headersSent) {
      // The stream has begun: the only honest end that is left is a broken one.
      reply.raw.destroy();
      return;
    }
    const { status, body } = toDialect(refusal, this.dialects.of(request));
    void reply.status(status).headers(refusal.headers);
    // Browsers would ask their user for a password.
    if (isFromBrowser(request)) void reply.removeHeader('www-authenticate');
    void reply.send(body);
  }

  private log(status: 500 | 503, error: unknown, { id, headers, observed }: FastifyRequest): void {
    const details = {
      err: error,
      requestId: id,
      ...observed?.logFields,
      clientRequestId: clientRequestId(headers) ?? undefined,
    };
    if (status === 500) this.logger.error(details, 'a request failed for a fault of ours');
    else this.logger.warn(details, 'a request could not be served');
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
  if (error instanceof HttpException && error.getStatus() === 404) return refuse(request);
  const { code, statusCode } = fastifyErrorSchema.parse(error);
  if (code === 'FST_ERR_BAD_URL' || code === 'FST_ERR_MAX_PARAM_LENGTH') return refuse(request);
  // Nest wraps what Fastify raises.
  const status = error instanceof HttpException ? error.getStatus() : statusCode;
  if (status === 415) return refuseContentType(request);
  if (typeof status === 'number' && status >= 400 && status < 500) {
    return new GatewayError(
      'malformed_request',
      { reason: 'its body does not match its headers' },
      { cause: error },
    );
  }
  return new GatewayError('internal_error', {}, { cause: error });
}

function refuse({ method, raw, originalUrl }: FastifyRequest): GatewayError {
  return refusePath({ method, url: raw.url ?? '', sentUrl: originalUrl });
}

/** A content type that is none is found before the body is read, so its sender may not be known yet. */
function refuseContentType(request: FastifyRequest): GatewayError {
  if (request.caller === null) return new GatewayError('no_credential');
  const contentType = request.headers['content-type']?.slice(0, 100) ?? '';
  return new GatewayError('unsupported_content_type', { contentType });
}
