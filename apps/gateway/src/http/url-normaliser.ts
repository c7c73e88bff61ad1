/** A model that the path of a request names. */
export interface PathModel {
  readonly name: string;
  /**
   * True where the path decides whatever the body says: Azure's clients name the deployment in the path, and put the
   * name of some model into the body or none.
   */
  readonly overridesBody: boolean;
}

/** What a URL comes to. */
export interface NormalUrl {
  /** Path and query as the routes know them. */
  readonly url: string;
  /** The model that the path named, if it did: it does not stand in `url` any more. */
  readonly pathModel: PathModel | null;
}

/** Paths that nothing has to be done about: nearly all traffic. */
const CANONICAL_PATHS: ReadonlySet<string> = new Set([
  '/v1/chat/completions',
  '/v1/completions',
  '/v1/embeddings',
  '/v1/models',
  '/health/live',
  '/health/ready',
]);

/** First segments that belong under `/v1`. */
const RESOURCES = [
  ...['chat', 'completions', 'responses', 'embeddings', 'models', 'images', 'audio', 'moderations', 'files'],
  ...['engines', 'edits', 'rerank', 'fim', 'messages', 'dashboard'],
].join('|');

/** Endpoints under which nothing else begins, so that a second endpoint behind one is a base URL pasted whole. */
const ENDPOINTS = [
  ...['chat/completions', 'fim/completions', 'completions', 'embeddings', 'responses', 'messages', 'edits'],
  ...['audio/speech', 'audio/transcriptions', 'audio/translations', 'moderations', 'rerank'],
  ...['images/generations', 'images/edits', 'images/variations'],
].join('|');

const AUTHORITY = /^[a-z][a-z\d+.-]*:\/\/[^/]*/i;
const BROKEN_ESCAPE = /%(?![\da-f]{2})/i;
/** Escaped letters, digits, `-`, `.`, `_` and `~` mean the same as the characters themselves (RFC 3986, 2.3). */
const NEEDLESS_ESCAPES = /%(?:2[de]|3\d|4[1-9a-f]|5[\daf]|6[1-9a-f]|7[\dae])/gi;

/**
 * What is cut from the beginning of a path, again and again until nothing of it is left: `/index.php`; `/api` and `/openai` in
 * front of a version; a version in front of another; an endpoint in front of another. One expression, so that a path made
 * of nothing else costs one pass.
 */
const PREFIXES = new RegExp(
  [
    '^(?:/index\\.php(?=/|$)',
    '/(?:api|openai)(?=/v1(?:/|$))',
    '/v1(?=/(?:v1|openai)(?:/|$))',
    `(?:/v1)?/(?:${ENDPOINTS})(?=(?:/v1)*/(?:${RESOURCES})(?:/|$)))+`,
  ].join('|'),
);

const WITHOUT_VERSION = new RegExp(`^/(?:${RESOURCES})(?=/|$)`);

/** Names of models hold slashes: the shortest name in front of an endpoint is taken. */
const LEGACY_ENDPOINT = /^\/v1\/engines\/(.+?)\/(chat\/completions|completions|embeddings|edits)$/;
const AZURE_ENDPOINT = new RegExp(`^/openai/deployments/(.+?)/(${ENDPOINTS}|batches)$`);

/**
 * Brings every form of a URL that clients build to the one that the routes know; it never fails and never redirects.
 * Bases pasted with `/v1` or with a whole endpoint, doubled slashes and versions, `/index.php/api/v1`, `/openai/v1`, legacy
 * paths under `/v1/engines` and Azure's under `/openai/deployments` all end at the same place. Normalising twice is
 * normalising once.
 */
export function normaliseUrl(url: string): NormalUrl {
  const pathEnd = url.indexOf('?');
  const path = pathEnd === -1 ? url : url.slice(0, pathEnd);
  if (CANONICAL_PATHS.has(path)) return { url, pathModel: null };
  return normaliseParts(path, pathEnd === -1 ? '' : url.slice(pathEnd));
}

function normaliseParts(path: string, query: string): NormalUrl {
  const normal = tidyPath(path).replace(PREFIXES, '') || '/';
  const versioned = WITHOUT_VERSION.test(normal) ? `/v1${normal}` : normal;
  const [, legacyName, legacyEndpoint] = LEGACY_ENDPOINT.exec(versioned) ?? [];
  if (legacyName !== undefined && legacyEndpoint !== undefined) {
    const pathModel = { name: decode(legacyName), overridesBody: false };
    return { url: `/v1/${legacyEndpoint}${query}`, pathModel };
  }
  const [, deploymentName, endpoint] = AZURE_ENDPOINT.exec(versioned) ?? [];
  if (deploymentName !== undefined && endpoint !== undefined) {
    return {
      url: `/v1/${endpoint}${query}`,
      pathModel: { name: decode(deploymentName), overridesBody: true },
    };
  }
  return { url: versioned + query, pathModel: null };
}

/** Without authority, fragment, needless escapes, doubled slashes and the last slash. */
function tidyPath(path: string): string {
  const [withoutFragment = ''] = path.split('#', 1);
  let tidy = withoutFragment.startsWith('/') ? withoutFragment : withoutFragment.replace(AUTHORITY, '');
  if (tidy.includes('%') && !BROKEN_ESCAPE.test(tidy)) tidy = tidy.replace(NEEDLESS_ESCAPES, decode);
  tidy = `/${tidy}`.replace(/\/{2,}/g, '/');
  return tidy.length > 1 && tidy.endsWith('/') ? tidy.slice(0, -1) : tidy;
}

/** Names that cannot be decoded stay as they are: no model has such a name. */
function decode(escaped: string): string {
  try {
    return decodeURIComponent(escaped);
  } catch {
    return escaped;
  }
}
