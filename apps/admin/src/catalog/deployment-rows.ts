import { DeploymentEntity, DeploymentModelEntity, ModelEntity } from '@tollgate/persistence';
import { In, type EntityManager } from 'typeorm';
import { Tagged } from '../http/etag.js';
import { notFound } from '../http/problem.js';
import type { CreateDeployment, DeploymentView } from './deployment.schema.js';

/** What a credential is sealed for: the gateway opens it by the same use. */
export const CREDENTIAL_USE = 'credential';

/** Locks a deployment's row until the transaction ends; false where it is deleted. @throws Problem 404 */
export async function lockDeployment(manager: EntityManager, id: string): Promise<boolean> {
  const deployment = await manager.findOne(DeploymentEntity, {
    where: { id },
    withDeleted: true,
    lock: { mode: 'for_no_key_update' },
  });
  if (deployment === null) throw notFound('deployment');
  return deployment.deletedAt === null;
}

/** @throws Problem 404, also for a deployment that is deleted. */
export async function readDeployment(manager: EntityManager, id: string): Promise<Tagged<DeploymentView>> {
  const deployment = await findDeployment(manager, id);
  const [view] = await withServedModels(manager, [deployment]);
  if (view === undefined) throw notFound('deployment');
  // Nobody sees the credential, but whoever replaces it has changed the deployment.
  return new Tagged(view, { ...view, sealed: deployment.credential });
}

/** @throws Problem 404, also for a deployment that is deleted. */
export async function findDeployment(manager: EntityManager, id: string): Promise<DeploymentEntity> {
  const deployment = await manager.findOneBy(DeploymentEntity, { id });
  if (deployment === null) throw notFound('deployment');
  return deployment;
}

/** Deployments as answers show them. A model that is deleted is not served any more, whoever still names it. */
export async function withServedModels(
  manager: EntityManager,
  deployments: readonly DeploymentEntity[],
): Promise<DeploymentView[]> {
  const served = await manager
    .createQueryBuilder(DeploymentModelEntity, 'served')
    .innerJoin(ModelEntity, 'model', 'model.id = served.model AND model.deleted_at IS NULL')
    .where({ deploymentId: In(deployments.map(({ id }) => id)) })
    .orderBy('served.priority', 'DESC')
    .addOrderBy('served.model', 'ASC')
    .getMany();
  return deployments.map((deployment) =>
    deploymentView(
      deployment,
      served.filter(({ deploymentId }) => deploymentId === deployment.id),
    ),
  );
}

/** Makes these, and no others, the models that a deployment serves. */
export async function replaceServedModels(
  manager: EntityManager,
  deploymentId: string,
  models: CreateDeployment['models'],
): Promise<void> {
  await manager.delete(DeploymentModelEntity, { deploymentId });
  if (models.length === 0) return;
  await manager.insert(
    DeploymentModelEntity,
    models.map((served) => ({ upstreamModel: served.model, ...served, deploymentId })),
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
