import { z } from 'zod';
import { externalIdField, lineField, modelIdField, nameField } from '../http/fields.js';
import { pageParameters } from '../http/page.js';
import { searchField } from '../http/text-search.js';

const MODELS_MAX = 1_000;
const INT32_MAX = 2_147_483_647;
const FIRST_BYTE_TIMEOUT_MAX_MS = 600_000;
const DRAIN_MAX_MS = 300_000;

const APIS = [
  'chat',
  'completions',
  'embeddings',
  'responses',
  'images',
  'audio',
  'moderations',
  'rerank',
  'realtime',
  'files',
  'batches',
] as const;

const servedModelField = z.strictObject({
  model: modelIdField,
  /** What the upstream calls the model; its public name if nothing else is given. */
  upstreamModel: lineField(256).optional(),
  /** The highest is tried first. */
  priority: z.int().min(-1_000_000).max(1_000_000).default(0),
  /** Share of the traffic among deployments of one priority. */
  weight: z.int().min(0).max(INT32_MAX).default(1),
});

const servedModelsField = z
  .array(servedModelField)
  .max(MODELS_MAX)
  .refine(
    (served) => new Set(served.map(({ model }) => model)).size === served.length,
    'names a model twice',
  );

const firstByteTimeoutField = z.int().min(1).max(FIRST_BYTE_TIMEOUT_MAX_MS);
/** How long an upstream may finish a stream whose client left, to learn its usage. */
const drainOnAbortField = z.int().min(0).max(DRAIN_MAX_MS);

/** Whether the upstream gets the `traceparent` of a request that is traced: not unless told, it may be a stranger. */
const forwardTraceContextField = z.boolean();

const settingsField = z.strictObject({
  firstByteTimeoutMs: firstByteTimeoutField.optional(),
  drainOnAbortMs: drainOnAbortField.optional(),
  forwardTraceContext: forwardTraceContextField.optional(),
});

const credentialField = z
  .string()
  .regex(/^[\x21-\x7e]{1,8192}$/, 'must be 1 to 8192 visible ASCII characters');

const apisField = z.array(z.enum(APIS)).transform((apis) => [...new Set(apis)]);

export const createDeploymentSchema = z.strictObject({
  name: nameField,
  externalId: externalIdField.nullish(),
  provider: z.literal('openai').default('openai'),
  baseUrl: z.string().max(2_048),
  /** Write-only. It is sent in a header; none for an upstream that wants none. */
  credential: credentialField.nullish(),
  models: servedModelsField.default([]),
  /** The APIs that the upstream has natively; null asks it. */
  apis: apisField.nullish(),
  status: z.enum(['active', 'disabled']).default('active'),
  settings: settingsField.default({}),
});

export const patchDeploymentSchema = z.strictObject({
  name: nameField.optional(),
  externalId: externalIdField.nullish(),
  baseUrl: z.string().max(2_048).optional(),
  /** Null takes it away. */
  credential: credentialField.nullish(),
  /** All of them: what is not among them is not served any more. */
  models: servedModelsField.optional(),
  apis: apisField.nullish(),
  status: z.enum(['active', 'disabled']).optional(),
  /** A merge patch: null gives a setting its default again. */
  settings: z
    .strictObject({
      firstByteTimeoutMs: firstByteTimeoutField.nullish(),
      drainOnAbortMs: drainOnAbortField.nullish(),
      forwardTraceContext: forwardTraceContextField.nullish(),
    })
    .nullish(),
});

export const listDeploymentsSchema = z.strictObject({
  ...pageParameters,
  /** Part of a name, an external id or a base URL, in any case. */
  q: searchField.optional(),
  model: modelIdField.optional(),
  status: z.enum(['active', 'disabled']).optional(),
  externalId: z.string().max(200).optional(),
});

export const deploymentSchema = z
  .strictObject({
    id: z.uuid(),
    name: z.string(),
    externalId: z.string().nullable(),
    provider: z.literal('openai'),
    baseUrl: z.string(),
    status: z.enum(['active', 'disabled']),
    apis: z.array(z.string()).nullable(),
    settings: z.record(z.string(), z.unknown()),
    models: z.array(
      z.strictObject({
        model: z.string(),
        upstreamModel: z.string(),
        priority: z.int(),
        weight: z.int(),
      }),
    ),
    createdAt: z.iso.datetime(),
    updatedAt: z.iso.datetime(),
  })
  .meta({ id: 'Deployment' });

export type CreateDeployment = z.infer<typeof createDeploymentSchema>;
export type PatchDeployment = z.infer<typeof patchDeploymentSchema>;
export type ListDeployments = z.infer<typeof listDeploymentsSchema>;
export type DeploymentView = z.infer<typeof deploymentSchema>;
