import { isJsonObject, type JsonObject } from '@tollgate/openai';
import type { RequestDialect } from '../dialects/dialect-profile.js';
import { readTolerantBody } from '../dialects/tolerant-body.js';
import { GatewayError } from '../relay/gateway-errors.js';

/** The one content type whose bodies no dialect reads. */
const MULTIPART = /^multipart\//i;
const JSON_CONTENT_TYPE = /^application\/(?:[\w.+-]+\+)?json\s*(?:;|$)/i;

/** What a body is read from. */
export interface ArrivedBody {
  readonly contentType: string | undefined;
  readonly body: Buffer;
  /** OpenAI's own, if not given. */
  readonly dialect?: RequestDialect;
}

/**
 * Reads a body as a JSON object. A body without a content type is taken for JSON; tolerant dialects take whatever they
 * can read.
 * @throws GatewayError `unsupported_content_type`, `invalid_json`.
 */
export function readJsonBody(arrived: ArrivedBody): JsonObject {
  const { contentType = '', body } = arrived;
  const isTolerant = arrived.dialect?.profile.isTolerant === true;
  const isRefused = isTolerant
    ? MULTIPART.test(contentType)
    : contentType !== '' && !JSON_CONTENT_TYPE.test(contentType);
  if (isRefused) {
    throw new GatewayError('unsupported_content_type', { contentType: contentType.slice(0, 100) });
  }
  return isTolerant ? parseTolerantly(body) : parseObject(body);
}

function parseObject(body: Buffer): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(body.toString('utf8'));
  } catch (cause) {
    throw new GatewayError('invalid_json', {}, { cause });
  }
  if (!isJsonObject(value)) throw new GatewayError('invalid_json');
  return value;
}

function parseTolerantly(body: Buffer): JsonObject {
  const value = readTolerantBody(body);
  if (value === null) throw new GatewayError('invalid_json');
  return value;
}
