import type { UpstreamApi, UpstreamForm } from '@tollgate/providers';
import { LRUCache } from 'lru-cache';
import type { Deployment } from '../routing/catalog.js';
import type { ApiRequest } from '../relay/api-request.js';
import { AttemptFailedError } from './attempts.js';

/** How long a deployment is taken to lack an API that it did not know. */
const LACKED_FOR_MS = 10 * 60 * 1_000;
const REMEMBERED_MAX = 10_000;

/** What an upstream answers for a path that it does not have. */
const LACKING_STATUSES: ReadonlySet<number> = new Set([404, 405]);

/**
 * Which forms of a request a deployment can be asked in. A deployment that says what it has is believed; one that does
 * not is asked natively, and where it turns out to lack that, this is remembered for ten minutes.
 */
export class UsableForms {
  private readonly lacked = new LRUCache<string, true>({ max: REMEMBERED_MAX, ttl: LACKED_FOR_MS });

  /** The forms to try, in this order. */
  usable(deployment: Deployment, forms: readonly UpstreamForm[]): readonly UpstreamForm[] {
    const { apis } = deployment;
    if (apis !== null) return forms.filter(({ api }) => apis.includes(api));
    if (forms.length === 1 && forms[0]?.onlyFor === undefined) return forms;
    return forms.filter(({ api }) => !this.lacked.has(keyOf(deployment, api)));
  }

  rememberLack(deployment: Deployment, api: UpstreamApi): void {
    this.lacked.set(keyOf(deployment, api), true);
  }
}

function keyOf(deployment: Deployment, api: UpstreamApi): string {
  return `${deployment.id} ${api} ${deployment.upstreamModel}`;
}

/** Whether an attempt failed because the upstream does not have the API, for this model at least. */
export function isLackOfApi(error: unknown): boolean {
  if (!(error instanceof AttemptFailedError) || !('status' in error.failure)) return false;
  return LACKING_STATUSES.has(error.failure.status);
}

/** A deployment has none of the APIs that a request can be asked in: another one may, asking again is in vain. */
export class ApiLackingError extends AttemptFailedError {}

/** The failure of such a deployment: told of the parameter that needs the API, else of the model, as OpenAI does. */
export function lacksApi(request: Pick<ApiRequest, 'model' | 'forms'>): ApiLackingError {
  const { model, forms } = request;
  const [native] = forms;
  const parameter = native?.onlyFor;
  if (parameter === undefined) {
    const message = `The model \`${model}\` is not supported in the v1${native?.path ?? ''} endpoint.`;
    return new ApiLackingError({ kind: 'caller', status: 404, message, code: null, param: 'model' });
  }
  const message = `Unsupported parameter: '${parameter}' is not supported with this model.`;
  const code = 'unsupported_parameter';
  return new ApiLackingError({ kind: 'caller', status: 400, message, code, param: parameter });
}
