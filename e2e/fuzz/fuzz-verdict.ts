import { isProxysOwn, type RawAnswer } from '../conformance/raw-http.js';
import type { FuzzRequest } from './fuzz-requests.js';

/** What is remembered of an answer. */
export interface Told {
  readonly status: number;
  readonly requestId: string;
}

/** Codes of 5xx that say that the upstream is at fault. */
const UPSTREAM_CODES: ReadonlySet<unknown> = new Set([
  'upstream_error',
  'upstream_timeout',
  'server_is_overloaded',
]);

/** What is wrong with an answer, or with there being none; null if nothing is. */
export function problemOf(
  request: FuzzRequest,
  answer: RawAnswer | null,
  circumstances: { upstreamIsWell: boolean; canary: string; isProxied: boolean },
): string | null {
  if (answer === null) return request.spoilsConnection ? null : 'the connection ended without an answer';
  const { headers, status } = answer;
  if (!(status >= 200 && status <= 599)) return `the status is ${status}`;
  if (circumstances.isProxied && request.isMalformed && isProxysOwn(answer)) return null;
  if (!/^req_[0-9a-f]{32}$/.test(headers['x-request-id'] ?? '')) return 'no x-request-id';
  if (!answer.complete && !request.spoilsConnection) return 'the answer broke off';
  if (answer.bytes.toString('latin1').toLowerCase().includes(circumstances.canary)) {
    return 'a secret of the upstream is in the answer';
  }
  if (status >= 300 && status < 400) return 'it is a redirect';
  if (request.method === 'HEAD') return null;
  return problemOfRefusal(request, answer, circumstances.upstreamIsWell);
}

function problemOfRefusal(request: FuzzRequest, answer: RawAnswer, upstreamIsWell: boolean): string | null {
  const { error, code } = told(answer.body.toString('utf8'));
  // A dialect whose clients look at nothing but the code of the body hides the status there.
  const status = code === null ? answer.status : Math.floor(code / 100);
  if (status < 400) return null;
  if (error === null) return 'the refusal has no envelope';
  if (status === 409) return 'it is a 409';
  if (status < 500) return null;
  if (status === 504 && request.setsTimeout) return null;
  if (upstreamIsWell) return `a ${status} though the upstream is well`;
  return UPSTREAM_CODES.has(error.code) ? null : `a ${status} with the code ${String(error.code)}`;
}

/** The error object of an answer, and the code of a dialect that has one. */
function told(text: string): { error: { code: unknown } | null; code: number | null } {
  try {
    const body: any = JSON.parse(text);
    const isEnvelope =
      typeof body.error?.message === 'string' && 'code' in body.error && 'param' in body.error;
    const code = typeof body.code === 'number' && body.code >= 40_000 ? body.code : null;
    return { error: isEnvelope ? body.error : null, code };
  } catch {
    return { error: null, code: null };
  }
}
