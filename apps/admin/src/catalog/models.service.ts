import { Injectable } from '@nestjs/common';
import { ModelEntity } from '@tollgate/persistence';
import { DataSource, type EntityManager, type SelectQueryBuilder } from 'typeorm';
import { z } from 'zod';
import { AuditedChanges } from '../audit/audited-changes.js';
import type { Actor } from '../auth/operator.js';
import { PageReader, type Page } from '../http/page.js';
import { notFound } from '../http/problem.js';
import type { CreateModel, ListModels, ModelView } from './model.schema.js';

const HAS_PRICE = `EXISTS (SELECT FROM tollgate.price
  WHERE price.model = model.id AND price.effective_from <= now())`;
const HAS_DEPLOYMENT = `EXISTS (SELECT FROM tollgate.deployment_model AS served
  JOIN tollgate.deployment ON deployment.id = served.deployment_id
  WHERE served.model = model.id AND deployment.status = 'active')`;

const rawModelSchema = z.object({ has_price: z.boolean(), has_deployment: z.boolean() });

@Injectable()
export class ModelsService {
  constructor(
    private readonly dataSource: DataSource,
    private readonly changes: AuditedChanges,
    private readonly pages: PageReader,
  ) {}

  /** @throws Problem 409 for an id that is taken. */
  async create(actor: Actor, asked: CreateModel): Promise<ModelView> {
    return this.changes.run(actor, async (manager) => {
      await manager.insert(ModelEntity, asked);
      const after = await readModel(manager, asked.id);
      const target = `model/${asked.id}`;
      return { answer: after, audit: [{ action: 'model.create', target, before: null, after }] };
    });
  }

  async read(id: string): Promise<ModelView> {
    return readModel(this.dataSource.manager, id);
  }

  async list(page: ListModels): Promise<Page<ModelView>> {
    return this.pages.read(page, {
      name: 'models',
      query: modelsQuery(this.dataSource.manager),
      newestFirst: ['model.createdAt', 'model.id'],
      // The row itself gives its time: a time that went through the cursor would have lost its microseconds.
      after: `(model.created_at, model.id)
        < (SELECT last.created_at, last.id FROM tollgate.model AS last WHERE last.id = :position)`,
      positionOf: (model) => model.id,
      toItem: modelView,
    });
  }
}

async function readModel(manager: EntityManager, id: string): Promise<ModelView> {
  const { entities, raw } = await modelsQuery(manager)
    .where('model.id = :id', { id })
    .getRawAndEntities<unknown>();
  const [model] = entities;
  if (model === undefined) throw notFound('model');
  return modelView(model, raw[0]);
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
