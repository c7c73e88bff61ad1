import { z } from 'zod';
import { modelIdField } from '../http/fields.js';

/** The APIs that one small request can try. */
export const TESTABLE_APIS = ['chat', 'completions', 'embeddings'] as const;

/** Why a test failed, from the way to the upstream to what it answered. */
export const TEST_FAILURES = [
  'credential_unreadable',
  'refused_address',
  'dns',
  'connect',
  'tls',
  'timeout',
  'unauthorized',
  'not_found',
  'rate_limited',
  'upstream_error',
  'not_openai',
] as const;

export const testDeploymentSchema = z
  .strictObject({
    /** One of the deployment's models; the first that it shows if none is given. */
    model: modelIdField.optional(),
    /** The first of these that the deployment has, chat where that is not known. */
    api: z.enum(TESTABLE_APIS).optional(),
  })
  .prefault({});

export const deploymentTestSchema = z
  .strictObject({
    ok: z.boolean(),
    api: z.enum(TESTABLE_APIS),
    model: z.string(),
    upstreamModel: z.string(),
    /** The upstream's HTTP status; null where it answered nothing. */
    status: z.int().nullable(),
    latencyMs: z.int(),
    error: z.strictObject({ kind: z.enum(TEST_FAILURES), message: z.string() }).nullable(),
  })
  .meta({ id: 'DeploymentTest' });

export type TestableApi = (typeof TESTABLE_APIS)[number];
export type TestFailure = (typeof TEST_FAILURES)[number];
export type TestDeployment = z.infer<typeof testDeploymentSchema>;
export type DeploymentTestView = z.infer<typeof deploymentTestSchema>;
