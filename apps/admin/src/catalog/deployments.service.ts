import { Inject, Injectable } from '@nestjs/common';
import { DeploymentEntity } from '@tollgate/persistence';
import { MasterKeyError } from '@tollgate/runtime';
import { DataSource, type EntityManager, type ObjectLiteral } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { ADMIN_CONFIG, type AdminConfig } from '../admin.config.js';
import { AuditedChanges } from '../audit/audited-changes.js';
import { deleteItem, editItem } from '../audit/edited-item.js';
import type { Actor } from '../auth/operator.js';
import type { Precondition, Tagged } from '../http/etag.js';
import { mergePatch } from '../http/merge-patch.js';
import { PageReader, type Page } from '../http/page.js';
import { invalidField, notFound } from '../http/problem.js';
import { whereTextIn } from '../http/text-search.js';
import {
  CREDENTIAL_USE,
  findDeployment,
  lockDeployment,
  readDeployment,
  replaceServedModels,
  withServedModels,
} from './deployment-rows.js';
import type {
  CreateDeployment,
  DeploymentView,
  ListDeployments,
  PatchDeployment,
} from './deployment.schema.js';
import { requireModels } from './required-models.js';
import { requireUpstreamUrl } from './upstream-url.js';

/** A deployment that is to be changed, if it is in the state that the caller knows. */
interface DeploymentToChange {
  readonly id: string;
  readonly precondition: Precondition;
}

@Injectable()
export class DeploymentsService {
  constructor(
    private readonly dataSource: DataSource,
    private readonly changes: AuditedChanges,
    private readonly pages: PageReader,
    @Inject(ADMIN_CONFIG) private readonly config: AdminConfig,
  ) {}

  /** @throws Problem 422 for a base URL that may not be an upstream, or an unknown model; 409 for a name that is taken. */
  async create(actor: Actor, asked: CreateDeployment): Promise<Tagged<DeploymentView>> {
    const { models, credential, externalId = null, apis = null, ...fields } = asked;
    const row = {
      ...fields,
      id: uuidv7(),
      externalId,
      apis,
      baseUrl: await this.upstreamUrl(asked.baseUrl),
      credential: this.sealed(credential ?? null),
    };
    return this.changes.run(actor, async (manager) => {
      await requireServable(manager, models);
      await manager.insert(DeploymentEntity, row);
      await replaceServedModels(manager, row.id, models);
      const created = await readDeployment(manager, row.id);
      const audit = {
        action: 'deployment.create',
        target: targetOf(row.id),
        before: null,
        after: created.item,
      };
      return { answer: created, audit: [audit] };
    });
  }

  async read(id: string): Promise<Tagged<DeploymentView>> {
    return readDeployment(this.dataSource.manager, id);
  }

  /**
   * Changes what is given. Requests that are on their way to the deployment finish as it was.
   * @throws Problem 404, 412, those of `create`, and 422 for another origin without a word about the stored credential.
   */
  async patch(
    actor: Actor,
    { id, precondition }: DeploymentToChange,
    asked: PatchDeployment,
  ): Promise<Tagged<DeploymentView>> {
    const { models, credential, settings, ...fields } = asked;
    // Before the transaction: a name is resolved, which may take seconds.
    const baseUrl = asked.baseUrl === undefined ? undefined : await this.upstreamUrl(asked.baseUrl);
    return editItem(this.changes, actor, {
      action: 'deployment.update',
      target: targetOf(id),
      precondition,
      lock: async (manager) => {
        if (!(await lockDeployment(manager, id))) throw notFound('deployment');
      },
      read: (manager) => readDeployment(manager, id),
      write: async (manager, before) => {
        await requireServable(manager, models ?? []);
        if (credential === undefined && baseUrl !== undefined && !isSameOrigin(baseUrl, before.baseUrl)) {
          await this.requireNoCredential(manager, id);
        }
        await manager.update<ObjectLiteral>(DeploymentEntity, id, {
          ...fields,
          ...(baseUrl !== undefined && { baseUrl }),
          ...(credential !== undefined && { credential: this.sealed(credential) }),
          ...(settings !== undefined && {
            settings: settings === null ? {} : mergePatch(before.settings, settings),
          }),
        } satisfies Partial<DeploymentEntity>);
        if (models !== undefined) await replaceServedModels(manager, id, models);
        return credential === undefined ? {} : { credential: credential === null ? 'removed' : 'replaced' };
      },
    });
  }

  /**
   * Takes a deployment out of the catalog for ever, and forgets its credential; again changes nothing. Usage keeps its id.
   * @throws Problem 404, 412
   */
  async delete(actor: Actor, { id, precondition }: DeploymentToChange): Promise<void> {
    await deleteItem(this.changes, actor, {
      action: 'deployment.delete',
      target: targetOf(id),
      precondition,
      lock: (manager) => lockDeployment(manager, id),
      read: (manager) => readDeployment(manager, id),
      write: async (manager) => {
        await manager.update(DeploymentEntity, id, {
          credential: this.sealed(null),
          deletedAt: () => 'now()',
        });
      },
    });
  }

  async list({ q, model, status, externalId, ...page }: ListDeployments): Promise<Page<DeploymentView>> {
    const query = this.dataSource.manager.createQueryBuilder(DeploymentEntity, 'deployment');
    whereTextIn(query, ['deployment.name', 'deployment.external_id', 'deployment.base_url'], q);
    if (model !== undefined) {
      query.andWhere(
        `EXISTS (SELECT FROM tollgate.deployment_model AS served
          JOIN tollgate.model ON model.id = served.model AND model.deleted_at IS NULL
          WHERE served.deployment_id = deployment.id AND served.model = :model)`,
        { model },
      );
    }
    if (status !== undefined) query.andWhere('deployment.status = :status', { status });
    if (externalId !== undefined) query.andWhere('deployment.external_id = :externalId', { externalId });
    const found = await this.pages.read(page, {
      name: 'deployments',
      query,
      newestFirst: ['deployment.id'],
      after: 'deployment.id < :position',
      positionOf: (deployment) => deployment.id,
      toItem: (deployment) => deployment,
    });
    return { ...found, data: await withServedModels(this.dataSource.manager, found.data) };
  }

  private upstreamUrl(text: string): Promise<string> {
    return requireUpstreamUrl(text, this.config.UPSTREAM_PRIVATE_NETWORKS);
  }

  /** Whoever has the new address would be sent the stored credential: that is for the operator to say. */
  private async requireNoCredential(manager: EntityManager, id: string): Promise<void> {
    const { credential } = await findDeployment(manager, id);
    if (this.isEmpty(credential)) return;
    throw invalidField(
      '/credential',
      'must be given with a baseUrl of another origin, or the stored credential would be sent there; null removes it',
    );
  }

  private isEmpty(sealed: string): boolean {
    try {
      return this.config.MASTER_KEY.open(CREDENTIAL_USE, sealed) === '';
    } catch (error) {
      if (error instanceof MasterKeyError) return false;
      throw error;
    }
  }

  /** An upstream without a credential has the empty one, so that nothing shows which have none. */
  private sealed(credential: string | null): string {
    return this.config.MASTER_KEY.seal(CREDENTIAL_USE, credential ?? '');
  }
}

async function requireServable(manager: EntityManager, models: CreateDeployment['models']): Promise<void> {
  const named = models.map(({ model }, index) => ({ model, pointer: `/models/${index}/model` }));
  await requireModels(manager, named);
}

function isSameOrigin(first: string, second: string): boolean {
  return new URL(first).origin === new URL(second).origin;
}

function targetOf(id: string): string {
  return `deployment/${id}`;
}
