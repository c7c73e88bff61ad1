import { Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { ROUTE_ARGS_METADATA } from '@nestjs/common/constants.js';
import { RouteParamtypes } from '@nestjs/common/enums/route-paramtypes.enum.js';
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { parseInput } from './input.pipe.js';
import { Problem } from './problem.js';

const noParameters = z.strictObject({});

/**
 * Refuses query parameters where a handler takes none: a `?force=true` that nobody reads must not look as if it worked.
 * Where a handler has a `@Query`, its schema decides.
 */
@Injectable()
export class QueryGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    if (takesQuery(context)) return true;
    const { query } = context.switchToHttp().getRequest<FastifyRequest>();
    const parsed = parseInput(noParameters, query, { isQuery: true });
    if (parsed.success) return true;
    throw new Problem('validation_failed', 'This path takes no query parameters.', { errors: parsed.errors });
  }
}

/** Nest keeps the parameters of a handler by kind and position, such as `4:0`. */
function takesQuery(context: ExecutionContext): boolean {
  const parameters: unknown = Reflect.getMetadata(
    ROUTE_ARGS_METADATA,
    context.getClass(),
    context.getHandler().name,
  );
  return Object.keys(parameters ?? {}).some((key) => key.startsWith(`${RouteParamtypes.QUERY}:`));
}
