import { Inject, Injectable } from '@nestjs/common';
import { AccountEntity, ApiKeyEntity } from '@tollgate/persistence';
import { DataSource, type EntityManager } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { ADMIN_CONFIG, type AdminConfig } from '../admin.config.js';
import { AuditedChanges } from '../audit/audited-changes.js';
import { editItem } from '../audit/edited-item.js';
import type { Actor } from '../auth/operator.js';
import { requireModels } from '../catalog/required-models.js';
import { Tagged, type Precondition } from '../http/etag.js';
import { PageReader, type Page } from '../http/page.js';
import { Problem, notFound } from '../http/problem.js';
import { whereTextIn } from '../http/text-search.js';
import { API_KEY_USE, displayParts, generateApiKey } from './api-key-secret.js';
import type {
  ApiKeyView,
  CreateApiKey,
  CreatedApiKeyView,
  ListAccountApiKeys,
  ListApiKeys,
  PatchApiKey,
} from './api-key.schema.js';

/** The status as answers show it. */
const STATUS_SQL = `CASE WHEN key.status = 'active' AND key.expires_at <= :now THEN 'expired' ELSE key.status END`;

/** A key that is to be changed, if it is in the state that the caller knows. */
interface KeyToChange {
  readonly id: string;
  readonly precondition: Precondition;
}

@Injectable()
export class ApiKeysService {
  constructor(
    private readonly dataSource: DataSource,
    private readonly changes: AuditedChanges,
    private readonly pages: PageReader,
    @Inject(ADMIN_CONFIG) private readonly config: AdminConfig,
  ) {}

  /** Makes a key. Its secret is in this answer and nowhere else: only its HMAC is kept. */
  async create(actor: Actor, accountId: string, asked: CreateApiKey): Promise<Tagged<CreatedApiKeyView>> {
    const key = generateApiKey();
    const row = {
      ...asked,
      ...displayParts(key),
      id: uuidv7(),
      accountId,
      externalId: asked.externalId ?? null,
      keyHash: this.config.MASTER_KEY.hashSecret(API_KEY_USE, key),
    };
    const stored = await this.changes.run(actor, async (manager) => {
      await requireAccount(manager, accountId);
      await requireAllowedModels(manager, asked.allowedModels);
      await manager.insert(ApiKeyEntity, row);
      const created = taggedKey(await findKey(manager, row.id));
      const audit = { action: 'api_key.create', target: targetOf(row.id), before: null, after: created.item };
      return { answer: created, audit: [audit] };
    });
    return new Tagged({ ...stored.item, key }, stored.state);
  }

  async read(id: string): Promise<Tagged<ApiKeyView>> {
    return taggedKey(await findKey(this.dataSource.manager, id));
  }

  /** Changes what is given. @throws Problem 404, 412; 409 for a key that is revoked: that is for ever. */
  async patch(
    actor: Actor,
    { id, precondition }: KeyToChange,
    asked: PatchApiKey,
  ): Promise<Tagged<ApiKeyView>> {
    return editItem(this.changes, actor, {
      action: 'api_key.update',
      target: targetOf(id),
      precondition,
      lock: (manager) => lockKey(manager, id),
      read: async (manager) => taggedKey(await findKey(manager, id)),
      write: async (manager, { status }) => {
        if (status === 'revoked') throw new Problem('already_revoked', 'A revoked API key stays as it is.');
        await requireAllowedModels(manager, asked.allowedModels ?? null);
        await manager.update(ApiKeyEntity, id, asked);
      },
    });
  }

  /** Revokes a key for ever; again changes nothing, whatever the precondition. @throws Problem 404, 412 */
  async revoke(actor: Actor, { id, precondition }: KeyToChange): Promise<void> {
    await this.changes.run(actor, async (manager) => {
      const key = await lockKey(manager, id);
      if (key.status === 'revoked') return { answer: undefined, audit: [] };
      const before = taggedKey(key);
      precondition.require(before);
      await manager.update(ApiKeyEntity, id, { status: 'revoked' });
      const after = apiKeyView(await findKey(manager, id));
      const audit = { action: 'api_key.revoke', target: targetOf(id), before: before.item, after };
      return { answer: undefined, audit: [audit] };
    });
  }

  async listOfAccount(accountId: string, page: ListAccountApiKeys): Promise<Page<ApiKeyView>> {
    await requireAccount(this.dataSource.manager, accountId);
    return this.list({ ...page, accountId });
  }

  async list({ accountId, externalId, q, status, ...page }: ListApiKeys): Promise<Page<ApiKeyView>> {
    const query = this.dataSource.manager.createQueryBuilder(ApiKeyEntity, 'key');
    if (accountId !== undefined) query.andWhere('key.account_id = :accountId', { accountId });
    if (externalId !== undefined) query.andWhere('key.external_id = :externalId', { externalId });
    whereTextIn(query, ['key.name', 'key.external_id', 'key.prefix', 'key.last4'], q);
    if (status !== undefined) query.andWhere(`(${STATUS_SQL}) = :status`, { status, now: new Date() });
    return this.pages.read(page, {
      name: 'api-keys',
      query,
      newestFirst: ['key.id'],
      after: 'key.id < :position',
      positionOf: (key) => key.id,
      toItem: apiKeyView,
    });
  }
}

async function requireAccount(manager: EntityManager, id: string): Promise<void> {
  if (!(await manager.existsBy(AccountEntity, { id }))) throw notFound('account');
}

async function requireAllowedModels(manager: EntityManager, models: readonly string[] | null): Promise<void> {
  const asked = (models ?? []).map((model, index) => ({ model, pointer: `/allowedModels/${index}` }));
  await requireModels(manager, asked);
}

async function findKey(manager: EntityManager, id: string): Promise<ApiKeyEntity> {
  const key = await manager.findOneBy(ApiKeyEntity, { id });
  if (key === null) throw notFound('API key');
  return key;
}

async function lockKey(manager: EntityManager, id: string): Promise<ApiKeyEntity> {
  const key = await manager.findOne(ApiKeyEntity, { where: { id }, lock: { mode: 'for_no_key_update' } });
  if (key === null) throw notFound('API key');
  return key;
}

/** Expiry is a matter of the clock: the tag stands for the status as it is stored. */
function taggedKey(key: ApiKeyEntity): Tagged<ApiKeyView> {
  const view = apiKeyView(key);
  return new Tagged(view, { ...view, status: key.status });
}

function apiKeyView(key: ApiKeyEntity): ApiKeyView {
  const { id, accountId, name, externalId, prefix, last4, allowedModels, expiresAt, dialect } = key;
  const expired = key.status === 'active' && expiresAt !== null && expiresAt.getTime() <= Date.now();
  return {
    id,
    accountId,
    name,
    externalId,
    prefix,
    last4,
    allowedModels,
    status: expired ? 'expired' : key.status,
    expiresAt: expiresAt?.toISOString() ?? null,
    dialect,
    createdAt: key.createdAt.toISOString(),
    updatedAt: key.updatedAt.toISOString(),
  };
}

function targetOf(id: string): string {
  return `api_key/${id}`;
}
