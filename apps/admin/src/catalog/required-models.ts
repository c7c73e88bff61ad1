import { ModelEntity } from '@tollgate/persistence';
import { In, type EntityManager } from 'typeorm';
import { Problem } from '../http/problem.js';

/** A model that a request names, and where in the request. */
export interface NamedModel {
  readonly model: string;
  readonly pointer: string;
}

/**
 * Makes sure that models exist until the transaction ends: none of them can be deleted meanwhile.
 * @throws Problem 422 that points at each model which does not exist.
 */
export async function requireModels(manager: EntityManager, named: readonly NamedModel[]): Promise<void> {
  if (named.length === 0) return;
  const ids = [...new Set(named.map(({ model }) => model))];
  const found = await manager.find(ModelEntity, {
    select: { id: true },
    where: { id: In(ids) },
    order: { id: 'ASC' },
    lock: { mode: 'for_key_share' },
  });
  const known = new Set(found.map(({ id }) => id));
  const errors = named
    .filter(({ model }) => !known.has(model))
    .map(({ pointer }) => ({ pointer, message: 'names a model that does not exist' }));
  if (errors.length > 0) {
    throw new Problem('validation_failed', 'The request names unknown models.', { errors });
  }
}
