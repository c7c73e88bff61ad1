import { isJsonObject, type JsonObject } from '@tollgate/openai';
import { GatewayError } from '../relay/gateway-errors.js';

const JSON_CONTENT_TYPE = /^application\/(?:[\w.+-]+\+)?json\s*(?:;|$)/i;

/**
 * Reads a body as a JSON object. A body without a content type is taken for JSON.
 * @throws GatewayError `unsupported_content_type`, `invalid_json`.
 */
export function readJsonBody(arrival: { contentType: string | undefined; body: Buffer }): JsonObject {
  const { contentType, body } = arrival;
  if (contentType !== undefined && contentType !== '' && !JSON_CONTENT_TYPE.test(contentType)) {
    throw new GatewayError('unsupported_content_type', { contentType: contentType.slice(0, 100) });
  }
  let value: unknown;
  try {
    value = JSON.parse(body.toString('utf8'));
  } catch (cause) {
    throw new GatewayError('invalid_json', {}, { cause });
  }
  if (!isJsonObject(value)) throw new GatewayError('invalid_json');
  return value;
}
