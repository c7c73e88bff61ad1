import { isJsonObject, type JsonObject } from '@tollgate/openai';

/**
 * Whose fault a failed attempt is: `caller` (tell them, try no other deployment), `credential` (ours is refused or
 * empty), `busy`, or `broken`.
 */
export type FailureKind = 'caller' | 'credential' | 'busy' | 'broken';

/** A failed attempt, as far as the upstream said anything. */
export interface UpstreamFailure {
  readonly kind: FailureKind;
  readonly status: number;
  /** The upstream's words, for our log; cleaned, for the caller where the fault is theirs. */
  readonly message: string;
  readonly code: string | null;
  readonly param: string | null;
}

const EMPTY_ACCOUNT =
  /insufficient_quota|insufficient balance|credit balance is too low|余额不足|欠费|arrearage/i;
const CALLER_STATUSES: ReadonlySet<number> = new Set([400, 404, 413, 422]);
const CREDENTIAL_STATUSES: ReadonlySet<number> = new Set([401, 402, 403]);
const BUSY_STATUSES: ReadonlySet<number> = new Set([429, 503, 529]);
const MESSAGE_LENGTH_MAX = 1_000;

/** Classifies an upstream's refusal by its status and the many shapes that vendors give to error bodies. */
export function classifyFailure(status: number, bodyText: string): UpstreamFailure {
  const body = parseObject(bodyText);
  const error = isJsonObject(body.error) ? body.error : body;
  const message = firstMessage(body, error).slice(0, MESSAGE_LENGTH_MAX);
  const code = typeof error.code === 'string' ? error.code : null;
  const param = typeof error.param === 'string' ? error.param : null;
  const kind = EMPTY_ACCOUNT.test(`${code ?? ''} ${String(error.type)} ${message}`)
    ? 'credential'
    : kindOf(status);
  return { kind, status, message: cleanMessage(message), code, param };
}

/** A success status whose body is no answer; the words of the vendor's error where it has some. */
export function brokenAnswer(bodyText: string): UpstreamFailure {
  const failure = classifyFailure(502, bodyText);
  return { ...failure, kind: failure.kind === 'credential' ? 'credential' : 'broken' };
}

function kindOf(status: number): FailureKind {
  if (CALLER_STATUSES.has(status)) return 'caller';
  if (CREDENTIAL_STATUSES.has(status)) return 'credential';
  return BUSY_STATUSES.has(status) ? 'busy' : 'broken';
}

function parseObject(text: string): JsonObject {
  try {
    const value: unknown = JSON.parse(text);
    return isJsonObject(value) ? value : {};
  } catch {
    return {};
  }
}

function firstMessage(body: JsonObject, error: JsonObject): string {
  const header = isJsonObject(body.header) ? body.header : {};
  const response =
    isJsonObject(body.response) && isJsonObject(body.response.error) ? body.response.error : {};
  const [first] = Array.isArray(body.errors) ? (body.errors as unknown[]) : [];
  const candidates = [
    error.message,
    body.error,
    body.message,
    body.msg,
    body.err,
    body.error_msg,
    body.detail,
    header.message,
    response.message,
    isJsonObject(first) ? first.message : undefined,
  ];
  return candidates.find((text): text is string => typeof text === 'string' && text !== '') ?? '';
}

const SECRETS = [
  /\b(sk|pk|rk)-[\w*-]{4,}/g,
  /\borg-\w+/g,
  /\bproj_\w+/g,
  /\breq_\w+/g,
  /\bBearer\s+\S+/gi,
  /\bhttps?:\/\/\S+/g,
  /\b\d{1,3}(\.\d{1,3}){3}(:\d+)?\b/g,
];

/** Takes key fragments, organisation and request ids, and addresses of the upstream out of a message. */
function cleanMessage(message: string): string {
  return SECRETS.reduce((text, pattern) => text.replace(pattern, '***'), message);
}
