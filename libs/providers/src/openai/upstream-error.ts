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

/** Our account is empty, or the deployment is set up wrongly: neither is anything that a caller can mend. */
const OPERATORS_FAULT =
  /insufficient_quota|insufficient balance|credit balance is too low|余额不足|欠费|arrearage|DeploymentNotFound/i;
const CALLER_STATUSES: ReadonlySet<number> = new Set([400, 404, 413, 422]);
const CREDENTIAL_STATUSES: ReadonlySet<number> = new Set([401, 402, 403]);
const BUSY_STATUSES: ReadonlySet<number> = new Set([429, 503, 529]);
const MESSAGE_LENGTH_MAX = 1_000;
const NAME_LENGTH_MAX = 200;

/** Classifies an upstream's refusal by its status and the many shapes that vendors give to error bodies. */
export function classifyFailure(status: number, bodyText: string): UpstreamFailure {
  const body = parseObject(bodyText);
  const error = isJsonObject(body.error) ? body.error : body;
  const message = firstMessage(body, error).slice(0, MESSAGE_LENGTH_MAX);
  const code = nameIn(error.code);
  const param = nameIn(error.param);
  const isOurs = OPERATORS_FAULT.test(`${code ?? ''} ${String(error.type)} ${message}`);
  const kind = isOurs ? 'credential' : kindOf(status);
  return { kind, status, message: cleanMessage(message), code, param };
}

/** A success status whose body is no answer; the words of the vendor's error where it has some. */
export function brokenAnswer(bodyText: string): UpstreamFailure {
  const failure = classifyFailure(502, bodyText);
  return { ...failure, kind: failure.kind === 'credential' ? 'credential' : 'broken' };
}

/** A code or the name of a parameter, unless it is something that no caller may see. */
function nameIn(value: unknown): string | null {
  if (typeof value !== 'string' || value.length > NAME_LENGTH_MAX) return null;
  return cleanMessage(value) === value ? value : null;
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
