import { GatewayError } from '../relay/gateway-errors.js';

const READ = ['GET', 'HEAD'] as const;

/** The paths that the gateway serves, with their methods: what tells a wrong method (405) from a wrong path (404). */
const KNOWN_PATHS: readonly { readonly pattern: RegExp; readonly methods: readonly string[] }[] = [
  { pattern: /^\/v1\/(?:chat\/completions|completions|embeddings)$/, methods: ['POST'] },
  { pattern: /^\/v1\/(?:models|engines)(?:\/.+)?$/, methods: READ },
  { pattern: /^\/openai\/(?:models|deployments)(?:\/.+)?$/, methods: READ },
  { pattern: /^\/v1\/dashboard\/billing\/(?:subscription|usage)$/, methods: READ },
  { pattern: /^\/v1\/dashboard\/billing\/credit_grants$/, methods: [...READ, 'POST'] },
  { pattern: /^\/v1\/(?:key|usage)$/, methods: READ },
  { pattern: /^\/v1\/generations\/[^/]+$/, methods: READ },
  { pattern: /^\/(?:health\/(?:live|ready)|metrics)?$/, methods: READ },
];

const SHOWN_LENGTH_MAX = 200;

/** The methods of a path; null for a path that does not exist. */
export function allowedMethods(path: string): readonly string[] | null {
  return KNOWN_PATHS.find(({ pattern }) => pattern.test(path))?.methods ?? null;
}

/** A path as it came, and as the routes know it. Queries may hold keys: they are not shown. */
export interface RefusedPath {
  readonly method: string;
  /** Path and query, as the client sent them. */
  readonly sentUrl: string;
  /** Path and query, normalised. */
  readonly url: string;
}

/** What a request gets that no route serves. */
export function refusePath({ method, sentUrl, url }: RefusedPath): GatewayError {
  const path = withoutQuery(sentUrl).slice(0, SHOWN_LENGTH_MAX);
  const allowed = allowedMethods(withoutQuery(url));
  if (allowed === null || allowed.includes(method)) return new GatewayError('unknown_url', { method, path });
  const error = new GatewayError('method_not_supported', { method, path });
  return Object.assign(error, { headers: { allow: allowed.join(', ') } });
}

function withoutQuery(url: string): string {
  return url.split('?', 1)[0] ?? '';
}
