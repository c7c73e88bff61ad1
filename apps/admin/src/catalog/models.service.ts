import { Injectable } from '@nestjs/common';
import { DeploymentEntity, DeploymentModelEntity, ModelEntity } from '@tollgate/persistence';
import { DataSource, type EntityManager, type SelectQueryBuilder } from 'typeorm';
import { z } from 'zod';
import { AuditedChanges } from '../audit/audited-changes.js';
import { deleteItem, editItem } from '../audit/edited-item.js';
import type { Actor } from '../auth/operator.js';
import { Tagged, type Precondition } from '../http/etag.js';
import { PageReader, type Page } from '../http/page.js';
import { Problem, notFound } from '../http/problem.js';
import { whereTextIn } from '../http/text-search.js';
import type { CreateModel, ListModels, ModelView, PatchModel } from './model.schema.js';

const HAS_PRICE = `EXISTS (SELECT FROM tollgate.price
  WHERE price.model = model.id AND price.effective_from <= now())`;
const HAS_DEPLOYMENT = `EXISTS (SELECT FROM tollgate.deployment_model AS served
  JOIN tollgate.deployment ON deployment.id = served.deployment_id
  WHERE served.model = model.id AND deployment.status = 'active' AND deployment.deleted_at IS NULL)`;

const rawModelSchema = z.object({ has_price: z.boolean(), has_deployment: z.boolean() });

/** A model that is to be changed, if it is in the state that the caller knows. */
interface ModelToChange {
  readonly id: string;
  readonly precondition: Precondition;
}

@Injectable()
export class ModelsService {
  constructor(
    private readonly dataSource: DataSource,
    private readonly changes: AuditedChanges,
    private readonly pages: PageReader,
  ) {}

  /** @throws Problem 409 for an id that is taken, or was: ids are never used again. */
  async create(actor: Actor, asked: CreateModel): Promise<Tagged<ModelView>> {
    return this.changes.run(actor, async (manager) => {
      await refuseDeletedId(manager, asked.id);
      await manager.insert(ModelEntity, asked);
      const created = await readModel(manager, asked.id);
      const audit = {
        action: 'model.create',
        target: targetOf(asked.id),
        before: null,
        after: created.item,
      };
      return { answer: created, audit: [audit] };
    });
  }

  async read(id: string): Promise<Tagged<ModelView>> {
    return readModel(this.dataSource.manager, id);
  }

  /** Changes what is given. @throws Problem 404, 412 */
  async patch(
    actor: Actor,
    { id, precondition }: ModelToChange,
    asked: PatchModel,
  ): Promise<Tagged<ModelView>> {
    return editItem(this.changes, actor, {
      action: 'model.update',
      target: targetOf(id),
      precondition,
      lock: async (manager) => {
        if (!(await lockModel(manager, id))) throw notFound('model');
      },
      read: (manager) => readModel(manager, id),
      write: async (manager) => {
        await manager.update(ModelEntity, id, asked);
      },
    });
  }

  /**
   * Takes a model out of the catalog for ever; again changes nothing. Its prices and usage keep it.
   * @throws Problem 404, 412; 409 while an active deployment serves it.
   */
  async delete(actor: Actor, { id, precondition }: ModelToChange): Promise<void> {
    await deleteItem(this.changes, actor, {
      action: 'model.delete',
      target: targetOf(id),
      precondition,
      lock: (manager) => lockModel(manager, id),
      read: (manager) => readModel(manager, id),
      write: async (manager) => {
        await refuseServedModel(manager, id);
        await manager.softDelete(ModelEntity, id);
      },
    });
  }

  async list({ q, ...page }: ListModels): Promise<Page<ModelView>> {
    const query = modelsQuery(this.dataSource.manager);
    whereTextIn(query, ['model.id', 'model.display_name'], q);
    return this.pages.read(page, {
      name: 'models',
      query,
      newestFirst: ['model.createdAt', 'model.id'],
      // The row itself gives its time: a time that went through the cursor would have lost its microseconds.
      after: `(model.created_at, model.id)
        < (SELECT last.created_at, last.id FROM tollgate.model AS last WHERE last.id = :position)`,
      positionOf: (model) => model.id,
      toItem: modelView,
    });
  }
}

/**
 * Locks a model's row against whoever refers to it in this moment: a deployment that begins to serve it waits here or is
 * seen. False where the model is deleted. @throws Problem 404 for an id that no model ever had.
 */
async function lockModel(manager: EntityManager, id: string): Promise<boolean> {
  const model = await manager.findOne(ModelEntity, {
    where: { id },
    withDeleted: true,
    lock: { mode: 'pessimistic_write' },
  });
  if (model === null) throw notFound('model');
  return model.deletedAt === null;
}

async function refuseDeletedId(manager: EntityManager, id: string): Promise<void> {
  const model = await manager.findOne(ModelEntity, { where: { id }, withDeleted: true });
  if (model === null || model.deletedAt === null) return;
  throw new Problem('name_taken', 'This id belonged to a model that was deleted, and is never used again.');
}

const IN_USE_NAMES_MAX = 5;

async function refuseServedModel(manager: EntityManager, id: string): Promise<void> {
  const serving = await manager
    .createQueryBuilder(DeploymentEntity, 'deployment')
    .innerJoin(DeploymentModelEntity, 'served', 'served.deployment_id = deployment.id')
    .where('served.model = :id', { id })
    .andWhere(`deployment.status = 'active'`)
    .orderBy('deployment.id')
    .limit(IN_USE_NAMES_MAX)
    .getMany();
  if (serving.length === 0) return;
  const names = serving.map(({ name }) => JSON.stringify(name)).join(', ');
  throw new Problem(
    'in_use',
    `Active deployments serve this model: ${names}. Take it out of their models, or disable or delete them, then delete the model.`,
  );
}

async function readModel(manager: EntityManager, id: string): Promise<Tagged<ModelView>> {
  const { entities, raw } = await modelsQuery(manager)
    .where('model.id = :id', { id })
    .getRawAndEntities<unknown>();
  const [model] = entities;
  if (model === undefined) throw notFound('model');
  return taggedModel(modelView(model, raw[0]));
}

/** Whether a model can be sold depends on its prices, its deployments and the clock: that is not part of its tag. */
function taggedModel(model: ModelView): Tagged<ModelView> {
  const { sellable: _sellable, reason: _reason, ...state } = model;
  return new Tagged(model, state);
}

function modelsQuery(manager: EntityManager): SelectQueryBuilder<ModelEntity> {
  return manager
    .createQueryBuilder(ModelEntity, 'model')
    .addSelect(HAS_PRICE, 'has_price')
    .addSelect(HAS_DEPLOYMENT, 'has_deployment');
}

function modelView(model: ModelEntity, raw: unknown): ModelView {
  const { has_price: hasPrice, has_deployment: hasDeployment } = rawModelSchema.parse(raw);
  const { id, displayName, ownedBy, contextTokens, outputTokensMax } = model;
  return {
    id,
    displayName,
    ownedBy,
    contextTokens,
    outputTokensMax,
    sellable: hasPrice && hasDeployment,
    reason: unsellableReason(hasPrice, hasDeployment),
    createdAt: model.createdAt.toISOString(),
    updatedAt: model.updatedAt.toISOString(),
  };
}

function unsellableReason(hasPrice: boolean, hasDeployment: boolean): ModelView['reason'] {
  if (!hasPrice) return 'no_price';
  return hasDeployment ? null : 'no_deployment';
}

function targetOf(id: string): string {
  return `model/${id}`;
}
