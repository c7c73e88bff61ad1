import type { ErrorEnvelope, JsonObject } from '@tollgate/openai';
import type { RequestDialect } from './dialect-profile.js';

/** A refusal as HTTP carries it. */
export interface Refusal {
  readonly status: number;
  readonly body: object;
}

const NONE: JsonObject = {};
const SUCCESS: JsonObject = { code: 0, msg: '' };

/** The words for each code; clients show them as they are. */
const MESSAGES: { readonly [code: number]: string } = {
  40001: '请求参数错误',
  40101: 'api_secret_key 无效',
  40201: '余额不足',
  40301: '没有权限',
  40401: '模型或接口不存在',
  40501: '请求方法错误',
  40801: '请求超时',
  41301: '请求内容过大',
  42901: '请求过于频繁，请稍后再试',
  50001: '服务内部错误',
  50201: '上游服务出错',
  50301: '服务暂不可用，请稍后再试',
  50401: '上游服务超时',
};

const NO_CREDIT_CODE = 40_201;
const NO_CREDIT = 'insufficient_quota';

/** The members that an answer to a request begins with, before OpenAI's own. */
export function successMembers(dialect: RequestDialect): JsonObject {
  const { codes } = dialect.profile;
  return codes === 'always' || (codes === 'on_errors' && dialect.isKeyInBody) ? SUCCESS : NONE;
}

/**
 * A refusal in a request's dialect. With codes, `error` stands beside them, so that one parser fits; and where the key came
 * in the body the status is 200: those clients look at nothing but the code.
 */
export function toDialect(
  refusal: { readonly status: number; readonly envelope: ErrorEnvelope },
  dialect: RequestDialect,
): Refusal {
  const { status, envelope } = refusal;
  if (dialect.profile.codes === 'never') return { status, body: envelope };
  const { error } = envelope;
  const code = error.code === NO_CREDIT ? NO_CREDIT_CODE : codeOf(status);
  const words = MESSAGES[code];
  const msg = words === undefined ? error.message : `${words}：${error.message}`;
  return { status: dialect.isKeyInBody ? 200 : status, body: { code, msg, ...envelope } };
}

/** Whatever is wrong with a request is a bad parameter; otherwise the status and 01. */
function codeOf(status: number): number {
  const known = status * 100 + 1;
  if (MESSAGES[known] !== undefined) return known;
  return status < 500 ? 40_001 : 50_001;
}
