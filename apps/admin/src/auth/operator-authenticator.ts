import { Inject, Injectable } from '@nestjs/common';
import { OPERATOR_TOKEN_USE, OperatorTokenEntity } from '@tollgate/persistence';
import { METRICS_PATH } from '@tollgate/runtime';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { DataSource, IsNull } from 'typeorm';
import { ADMIN_CONFIG, type AdminConfig } from '../admin.config.js';
import { Problem } from '../http/problem.js';
import type { Operator } from './operator.js';

const BEARER_PATTERN = /^Bearer +([\x21-\x7e]{1,512})$/i;
const READING_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD']);
/** Writing the time of each request would make the token's row the busiest of the database. */
const LAST_USED_STEP_MS = 60_000;

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The route needs no token. */
    isPublic?: boolean;
  }
}

/** Knows operators by their bearer token. Tokens are found by their HMAC, so a guess learns nothing from the time. */
@Injectable()
export class OperatorAuthenticator {
  constructor(
    private readonly dataSource: DataSource,
    @Inject(ADMIN_CONFIG) private readonly config: AdminConfig,
  ) {}

  /** @throws Problem 401 for no token, a wrong one, or a revoked one; all three look alike. */
  async authenticate(authorization: string | undefined): Promise<Operator> {
    const token = BEARER_PATTERN.exec(authorization ?? '')?.[1];
    if (token === undefined) throw unauthorized();
    const tokenHash = this.config.MASTER_KEY.hashSecret(OPERATOR_TOKEN_USE, token);
    const tokens = this.dataSource.getRepository(OperatorTokenEntity);
    const known = await tokens.findOneBy({ tokenHash, revokedAt: IsNull() });
    if (known === null) throw unauthorized();
    await this.noteUse(known);
    return { tokenId: known.id, name: known.name, access: known.access };
  }

  private async noteUse(token: OperatorTokenEntity): Promise<void> {
    if (token.lastUsedAt !== null && Date.now() - token.lastUsedAt.getTime() < LAST_USED_STEP_MS) return;
    await this.dataSource
      .getRepository(OperatorTokenEntity)
      .update({ id: token.id }, { lastUsedAt: new Date() });
  }
}

/**
 * Authenticates every request before its body is read, whatever its path: only the health of the process and routes that
 * say so (the pages about this API) are public.
 */
export function authenticateOperators(fastify: FastifyInstance, authenticator: OperatorAuthenticator): void {
  fastify.decorateRequest('operator', null);
  fastify.addHook('onRequest', async (request) => {
    if (isPublic(request)) return;
    const operator = await authenticator.authenticate(request.headers.authorization);
    request.operator = operator;
    // A path or method that does not exist is answered as such, whoever asks.
    if (operator.access === 'read' && !request.is404 && !READING_METHODS.has(request.method)) {
      throw forbidden();
    }
  });
}

/** The metrics ask for a token of their own. */
function isPublic({ routeOptions }: FastifyRequest): boolean {
  if (routeOptions.url === METRICS_PATH) return true;
  return routeOptions.config?.isPublic === true || (routeOptions.url?.startsWith('/health/') ?? false);
}

function forbidden(): Problem {
  return new Problem(
    'forbidden',
    'This operator token may only read. Ask an operator with full access for a token that may change things.',
  );
}

function unauthorized(): Problem {
  return new Problem('unauthorized', 'Send an operator token: "Authorization: Bearer <token>".', {
    headers: { 'www-authenticate': 'Bearer' },
  });
}
