import type { CatalogModel } from '../routing/catalog.js';

/** A model as clients of several makes read it: OpenAI's members, one-api's, and those of Anthropic's discovery. */
export interface ModelObject {
  readonly id: string;
  readonly object: 'model';
  readonly created: number;
  readonly owned_by: string;
  readonly [member: string]: unknown;
}

export function toModelObject(model: CatalogModel): ModelObject {
  const { name, displayName, ownedBy, createdAtMs } = model;
  return {
    id: name,
    object: 'model',
    created: toSeconds(createdAtMs),
    owned_by: ownedBy,
    shutdown_date: null,
    root: name,
    parent: null,
    permission: [],
    type: 'model',
    display_name: displayName,
    created_at: new Date(createdAtMs).toISOString(),
  };
}

/** A model as OpenAI's first clients read it, under `/v1/engines`. */
export function toLegacyObject({ name, ownedBy, createdAtMs }: CatalogModel): object {
  return { id: name, object: 'engine', owner: ownedBy, ready: true, created: toSeconds(createdAtMs) };
}

/** A model as Azure's clients read it, under `/openai/models`. */
export function toAzureModelObject({ name, createdAtMs }: CatalogModel): object {
  const at = toSeconds(createdAtMs);
  return {
    id: name,
    object: 'model',
    status: 'succeeded',
    created_at: at,
    updated_at: at,
    lifecycle_status: 'generally-available',
    capabilities: { inference: true, fine_tune: false },
  };
}

/** A model as Azure's clients read it, under `/openai/deployments`: each is deployed under its own name. */
export function toAzureDeploymentObject({ name, ownedBy, createdAtMs }: CatalogModel): object {
  const at = toSeconds(createdAtMs);
  return {
    id: name,
    object: 'deployment',
    model: name,
    owner: ownedBy,
    status: 'succeeded',
    created_at: at,
    updated_at: at,
    scale_settings: { scale_type: 'standard' },
  };
}

function toSeconds(atMs: number): number {
  return Math.floor(atMs / 1_000);
}
