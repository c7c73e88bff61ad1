import { Inject, Injectable } from '@nestjs/common';
import { OPERATOR_TOKEN_USE, OperatorTokenEntity, makeOperatorToken } from '@tollgate/persistence';
import { DataSource, IsNull, type EntityManager } from 'typeorm';
import { ADMIN_CONFIG, type AdminConfig } from '../admin.config.js';
import { AuditedChanges } from '../audit/audited-changes.js';
import { editItem } from '../audit/edited-item.js';
import { Tagged, type Precondition } from '../http/etag.js';
import { PageReader, type Page } from '../http/page.js';
import { Problem, notFound } from '../http/problem.js';
import type {
  CreateOperatorToken,
  CreatedOperatorTokenView,
  ListOperatorTokens,
  OperatorTokenView,
  PatchOperatorToken,
} from './operator-token.schema.js';
import type { Actor } from './operator.js';

/** A token that is to be changed, if it is in the state that the caller knows. */
interface TokenToChange {
  readonly id: string;
  readonly precondition: Precondition;
}

@Injectable()
export class OperatorTokensService {
  constructor(
    private readonly dataSource: DataSource,
    private readonly changes: AuditedChanges,
    private readonly pages: PageReader,
    @Inject(ADMIN_CONFIG) private readonly config: AdminConfig,
  ) {}

  /** Makes a token. Its secret is in this answer and nowhere else. @throws Problem 409 for the name of an active token. */
  async create(
    actor: Actor,
    { name, access }: CreateOperatorToken,
  ): Promise<Tagged<CreatedOperatorTokenView>> {
    const hashToken = (token: string): Buffer => this.config.MASTER_KEY.hashSecret(OPERATOR_TOKEN_USE, token);
    return this.changes.run(actor, async (manager) => {
      const { id, token } = await makeOperatorToken((text, params) => manager.query(text, params), {
        name,
        access,
        hashToken,
      });
      const created = taggedToken(await findToken(manager, id));
      const audit = {
        action: 'operator_token.create',
        target: targetOf(id),
        before: null,
        after: created.item,
      };
      return { answer: new Tagged({ ...created.item, token }, created.state), audit: [audit] };
    });
  }

  async read(id: string): Promise<Tagged<OperatorTokenView>> {
    return taggedToken(await findToken(this.dataSource.manager, id));
  }

  /** Changes what is given. @throws Problem 404, 412; 409 for a revoked token, or if nobody would have full access then. */
  async patch(
    actor: Actor,
    { id, precondition }: TokenToChange,
    asked: PatchOperatorToken,
  ): Promise<Tagged<OperatorTokenView>> {
    return editItem(this.changes, actor, {
      action: 'operator_token.update',
      target: targetOf(id),
      precondition,
      lock: (manager) => lockTokens(manager, id),
      read: async (manager) => taggedToken(await findToken(manager, id)),
      write: async (manager, { status }) => {
        if (status === 'revoked') {
          throw new Problem('already_revoked', 'A revoked operator token stays as it is.');
        }
        if (asked.access === 'read') await requireOtherFullAccess(manager, id);
        if (Object.keys(asked).length > 0) await manager.update(OperatorTokenEntity, id, asked);
      },
    });
  }

  /** Revokes a token for ever, at once; again changes nothing. @throws Problem 404, 412; 409 for the last one with full access. */
  async revoke(actor: Actor, { id, precondition }: TokenToChange): Promise<void> {
    await this.changes.run(actor, async (manager) => {
      const token = await lockTokens(manager, id);
      if (token.revokedAt !== null) return { answer: undefined, audit: [] };
      const before = taggedToken(token);
      precondition.require(before);
      await requireOtherFullAccess(manager, id);
      await manager.update(OperatorTokenEntity, id, { revokedAt: () => 'now()' });
      const after = tokenView(await findToken(manager, id));
      const audit = { action: 'operator_token.revoke', target: targetOf(id), before: before.item, after };
      return { answer: undefined, audit: [audit] };
    });
  }

  async list({ status, ...page }: ListOperatorTokens): Promise<Page<OperatorTokenView>> {
    const query = this.dataSource.manager.createQueryBuilder(OperatorTokenEntity, 'token');
    if (status === 'active') query.andWhere('token.revoked_at IS NULL');
    if (status === 'revoked') query.andWhere('token.revoked_at IS NOT NULL');
    return this.pages.read(page, {
      name: 'operator-tokens',
      query,
      newestFirst: ['token.id'],
      after: 'token.id < :position',
      positionOf: (token) => token.id,
      toItem: tokenView,
    });
  }
}

/**
 * Locks every active token with full access, in one order for all, and then the one that is to change. Of two operators
 * who would take the last two away, the second one waits here and then sees what the first one left.
 */
async function lockTokens(manager: EntityManager, id: string): Promise<OperatorTokenEntity> {
  await manager.find(OperatorTokenEntity, {
    where: { access: 'full', revokedAt: IsNull() },
    order: { id: 'ASC' },
    lock: { mode: 'for_no_key_update' },
  });
  const token = await manager.findOne(OperatorTokenEntity, {
    where: { id },
    lock: { mode: 'for_no_key_update' },
  });
  if (token === null) throw notFound('operator token');
  return token;
}

/** @throws Problem 409 if no other active token has full access. Call it under the locks. */
async function requireOtherFullAccess(manager: EntityManager, id: string): Promise<void> {
  const full = await manager.findBy(OperatorTokenEntity, { access: 'full', revokedAt: IsNull() });
  if (full.some((token) => token.id !== id) || full.length === 0) return;
  throw new Problem(
    'last_full_access',
    'This is the last active operator token with full access. Make another one first: nobody could change anything any more.',
  );
}

async function findToken(manager: EntityManager, id: string): Promise<OperatorTokenEntity> {
  const token = await manager.findOneBy(OperatorTokenEntity, { id });
  if (token === null) throw notFound('operator token');
  return token;
}

/** The time of the last use moves by itself: it is not part of the tag. */
function taggedToken(token: OperatorTokenEntity): Tagged<OperatorTokenView> {
  const view = tokenView(token);
  const { lastUsedAt: _lastUsedAt, ...state } = view;
  return new Tagged(view, state);
}

function tokenView(token: OperatorTokenEntity): OperatorTokenView {
  const { id, name, access, last4, createdAt, lastUsedAt, revokedAt } = token;
  return {
    id,
    name,
    access,
    last4,
    status: revokedAt === null ? 'active' : 'revoked',
    createdAt: createdAt.toISOString(),
    lastUsedAt: lastUsedAt?.toISOString() ?? null,
    revokedAt: revokedAt?.toISOString() ?? null,
  };
}

function targetOf(id: string): string {
  return `operator_token/${id}`;
}
