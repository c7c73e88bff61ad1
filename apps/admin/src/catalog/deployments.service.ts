import { Inject, Injectable } from '@nestjs/common';
import { DeploymentEntity, DeploymentModelEntity } from '@tollgate/persistence';
import { DataSource, In, type EntityManager } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { ADMIN_CONFIG, type AdminConfig } from '../admin.config.js';
import { AuditedChanges } from '../audit/audited-changes.js';
import type { Actor } from '../auth/operator.js';
import { PageReader, type Page } from '../http/page.js';
import { notFound } from '../http/problem.js';
import type { CreateDeployment, DeploymentView, ListDeployments } from './deployment.schema.js';
import { requireModels } from './required-models.js';
import { requireUpstreamUrl } from './upstream-url.js';

/** What a credential is sealed for: the gateway opens it by the same use. */
const CREDENTIAL_USE = 'credential';

@Injectable()
export class DeploymentsService {
  constructor(
    private readonly dataSource: DataSource,
    private readonly changes: AuditedChanges,
    private readonly pages: PageReader,
    @Inject(ADMIN_CONFIG) private readonly config: AdminConfig,
  ) {}

  /** @throws Problem 422 for a base URL that may not be an upstream, or an unknown model; 409 for a name that is taken. */
  async create(actor: Actor, asked: CreateDeployment): Promise<DeploymentView> {
    const { models, credential, externalId = null, apis = null, ...fields } = asked;
    const row = {
      ...fields,
      id: uuidv7(),
      externalId,
      apis,
      baseUrl: await requireUpstreamUrl(asked.baseUrl, this.config.UPSTREAM_PRIVATE_NETWORKS),
      // An upstream without a credential has the empty one, so that nothing shows which have none.
      credential: this.config.MASTER_KEY.seal(CREDENTIAL_USE, credential ?? ''),
    };
    return this.changes.run(actor, async (manager) => {
      await requireModels(
        manager,
        models.map(({ model }, index) => ({ model, pointer: `/models/${index}/model` })),
      );
      await manager.insert(DeploymentEntity, row);
      await insertServedModels(manager, row.id, models);
      const after = await readDeployment(manager, row.id);
      const target = `deployment/${row.id}`;
      return { answer: after, audit: [{ action: 'deployment.create', target, before: null, after }] };
    });
  }

  async read(id: string): Promise<DeploymentView> {
    return readDeployment(this.dataSource.manager, id);
  }

  async list({ model, status, externalId, ...page }: ListDeployments): Promise<Page<DeploymentView>> {
    const query = this.dataSource.manager.createQueryBuilder(DeploymentEntity, 'deployment');
    if (model !== undefined) {
      query.andWhere(
        `EXISTS (SELECT FROM tollgate.deployment_model AS served
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
}

async function insertServedModels(
  manager: EntityManager,
  deploymentId: string,
  models: CreateDeployment['models'],
): Promise<void> {
  if (models.length === 0) return;
  await manager.insert(
    DeploymentModelEntity,
    models.map((served) => ({ upstreamModel: served.model, ...served, deploymentId })),
  );
}

async function readDeployment(manager: EntityManager, id: string): Promise<DeploymentView> {
  const [view] = await withServedModels(manager, await manager.findBy(DeploymentEntity, { id }));
  if (view === undefined) throw notFound('deployment');
  return view;
}

async function withServedModels(
  manager: EntityManager,
  deployments: readonly DeploymentEntity[],
): Promise<DeploymentView[]> {
  const served = await manager.find(DeploymentModelEntity, {
    where: { deploymentId: In(deployments.map(({ id }) => id)) },
    order: { priority: 'ASC', model: 'ASC' },
  });
  return deployments.map((deployment) =>
    deploymentView(
      deployment,
      served.filter(({ deploymentId }) => deploymentId === deployment.id),
    ),
  );
}

/** Without the credential: it goes in and never comes out. */
function deploymentView(
  deployment: DeploymentEntity,
  served: readonly DeploymentModelEntity[],
): DeploymentView {
  const { id, name, externalId, provider, baseUrl, status, apis, settings } = deployment;
  return {
    id,
    name,
    externalId,
    provider,
    baseUrl,
    status,
    apis,
    settings,
    models: served.map(({ model, upstreamModel, priority, weight }) => ({
      model,
      upstreamModel,
      priority,
      weight,
    })),
    createdAt: deployment.createdAt.toISOString(),
    updatedAt: deployment.updatedAt.toISOString(),
  };
}
