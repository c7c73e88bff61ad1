import { Catch, HttpException, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import type { Logger } from '@tollgate/runtime';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { databaseProblem } from './database-problem.js';
import type { KnownRoutes } from './known-routes.js';
import { PROBLEM_CONTENT_TYPE, PROBLEMS, Problem, problemBody, type ProblemCode } from './problem.js';

/** Turns whatever was thrown into `application/problem+json`. Nothing of an unexpected error leaves the process. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  constructor(
    private readonly routes: KnownRoutes,
    private readonly logger: Logger,
  ) {}

  catch(thrown: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    const request = http.getRequest<FastifyRequest>();
    const problem = this.problemOf(thrown, request);
    if (problem.status >= 500) {
      this.logger.error(
        { err: problem.cause, code: problem.code, requestId: request.id },
        'a request failed',
      );
    }
    sendProblem(http.getResponse<FastifyReply>(), problem);
  }

  private problemOf(thrown: unknown, request: FastifyRequest): Problem {
    if (thrown instanceof Problem) return thrown;
    const refused = httpRefusal(thrown);
    if (refused?.status === 404) return this.unknownRoute(request);
    return (
      refused ??
      databaseProblem(thrown) ??
      new Problem('internal_error', 'The request could not be served. The log has the reason.', {
        cause: thrown,
      })
    );
  }

  private unknownRoute(request: FastifyRequest): Problem {
    const methods = this.routes.methodsOf(request.url);
    if (methods.length === 0) return new Problem('not_found', 'There is nothing at this path.');
    return new Problem('method_not_allowed', `This path answers to ${methods.join(', ')}.`, {
      headers: { allow: methods.join(', ') },
    });
  }
}

/** Answers with a problem, unless an answer has begun. */
export function sendProblem(reply: FastifyReply, problem: Problem): void {
  if (reply.sent) return;
  void reply
    .status(problem.status)
    .headers(problem.headers)
    .header('content-type', PROBLEM_CONTENT_TYPE)
    .send(problemBody(problem, reply.request.id));
}

const CODE_BY_STATUS: ReadonlyMap<number, ProblemCode> = new Map([
  [404, 'not_found'],
  [408, 'request_timeout'],
  [413, 'body_too_large'],
  [414, 'uri_too_long'],
  [415, 'unsupported_media_type'],
  [431, 'headers_too_large'],
]);

/** What the framework refuses (4xx): its own words say what is wrong with the request and nothing else. */
export function httpRefusal(thrown: unknown): Problem | null {
  const status = statusOf(thrown);
  if (!(thrown instanceof Error) || status < 400 || status >= 500) return null;
  const code = CODE_BY_STATUS.get(status) ?? 'malformed_request';
  return new Problem(code, `${PROBLEMS[code].title}: ${thrown.message}.`, { cause: thrown });
}

function statusOf(thrown: unknown): number {
  if (thrown instanceof HttpException) return thrown.getStatus();
  if (!(thrown instanceof Error) || !('statusCode' in thrown)) return 0;
  return typeof thrown.statusCode === 'number' ? thrown.statusCode : 0;
}
