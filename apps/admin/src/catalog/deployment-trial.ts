import { parseChatRequest, parseCompletionRequest, parseEmbeddingRequest } from '@tollgate/openai';
import {
  FailedFinishError,
  NoAnswerError,
  UpstreamAddressError,
  brokenAnswer,
  buildUpstreamRequest,
  chatForm,
  classifyFailure,
  completionForm,
  embeddingForm,
  type PrivateNetworks,
  type UpstreamForm,
} from '@tollgate/providers';
import type { DeploymentTestView, TestFailure, TestableApi } from './deployment-test.schema.js';
import {
  ExchangeTimeoutError,
  ReplyTooLargeError,
  exchangeWithUpstream,
  type UpstreamReply,
} from './upstream-exchange.js';

const PROMPT = 'Say OK.';
const OUTPUT_TOKENS_MAX = 16;
const WORDS_LENGTH_MAX = 300;
const SECRET_REPLACED_BY = '***';

/** One small request that is to be sent to a deployment. */
export interface Trial {
  readonly baseUrl: string;
  /** Empty where the upstream asks for none. */
  readonly credential: string;
  readonly api: TestableApi;
  readonly upstreamModel: string;
  /** By which the upstream's operator can find the request. */
  readonly requestId: string;
  readonly privateNetworks: PrivateNetworks;
}

export type TrialResult = Pick<DeploymentTestView, 'status' | 'latencyMs' | 'error'>;

/** Asks an upstream as the gateway would ask it, and says what came of it. */
export async function tryUpstream(trial: Trial): Promise<TrialResult> {
  const startedAtMs = performance.now();
  const form = formOf(trial);
  let reply: UpstreamReply | null = null;
  let error: TrialResult['error'];
  try {
    reply = await exchangeWithUpstream(trial.baseUrl, requestOf(form, trial), trial.privateNetworks);
    error = judgeReply(form, { ...reply, body: withoutSecret(reply.body, trial.credential) });
  } catch (thrown) {
    error = failureOf(thrown);
  }
  const latencyMs = Math.round(performance.now() - startedAtMs);
  return { status: reply?.status ?? null, latencyMs, error };
}

function formOf({ api, upstreamModel: model }: Trial): UpstreamForm {
  switch (api) {
    case 'chat':
      return chatForm(
        parseChatRequest({
          model,
          messages: [{ role: 'user', content: PROMPT }],
          max_tokens: OUTPUT_TOKENS_MAX,
        }),
      );
    case 'completions':
      return completionForm(parseCompletionRequest({ model, prompt: PROMPT, max_tokens: OUTPUT_TOKENS_MAX }));
    case 'embeddings':
      return embeddingForm(parseEmbeddingRequest({ model, input: PROMPT }));
  }
}

function requestOf(form: UpstreamForm, trial: Trial): ReturnType<typeof buildUpstreamRequest> {
  return buildUpstreamRequest({
    path: form.path,
    body: form.body({ upstreamModel: trial.upstreamModel, affordableOutputTokens: null }),
    stream: false,
    credential: trial.credential,
    clientRequestId: trial.requestId,
    betaFeatures: null,
    traceparent: null,
  });
}

const KIND_BY_STATUS: Readonly<Record<number, TestFailure>> = {
  401: 'unauthorized',
  403: 'unauthorized',
  404: 'not_found',
  429: 'rate_limited',
};

function judgeReply(form: UpstreamForm, { status, body }: UpstreamReply): TrialResult['error'] {
  if (status >= 300 && status < 400) {
    const message = `it redirects (status ${String(status)}), which is never followed: give the URL that it leads to`;
    return { kind: 'not_openai', message };
  }
  if (status < 200 || status >= 300) {
    const message = withWords(`it answered status ${String(status)}`, classifyFailure(status, body).message);
    return { kind: KIND_BY_STATUS[status] ?? 'upstream_error', message };
  }
  try {
    form.readAnswer(body, { key: '', created: 0, model: '' });
    return null;
  } catch (error) {
    if (!(error instanceof NoAnswerError) && !(error instanceof FailedFinishError)) throw error;
    const { message: words } = brokenAnswer(body);
    const isRefusal = words !== '' || error instanceof FailedFinishError;
    return { kind: isRefusal ? 'upstream_error' : 'not_openai', message: withWords(error.message, words) };
  }
}

function withWords(message: string, words: string): string {
  return words === '' ? message : `${message}: ${words.slice(0, WORDS_LENGTH_MAX)}`;
}

/** Codes of Node and OpenSSL for a handshake that failed and a certificate that is not trusted. */
const TLS_CODE =
  /^(ERR_TLS|ERR_SSL|EPROTO$|CERT_|CRL_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|HOSTNAME_MISMATCH|INVALID_(CA|PURPOSE)|PATH_LENGTH)/;

/** What kept the upstream from answering. @throws whatever is no failure of the way to it. */
function failureOf(thrown: unknown): NonNullable<TrialResult['error']> {
  if (thrown instanceof UpstreamAddressError) return { kind: 'refused_address', message: thrown.message };
  if (thrown instanceof ExchangeTimeoutError) return { kind: 'timeout', message: thrown.message };
  if (thrown instanceof ReplyTooLargeError) return { kind: 'not_openai', message: thrown.message };
  const code = codeOf(thrown);
  if (code === null) throw thrown;
  if (isLookupFailure(thrown)) return { kind: 'dns', message: `its host name does not resolve (${code})` };
  if (TLS_CODE.test(code)) return { kind: 'tls', message: `no secure connection could be made (${code})` };
  if (code.startsWith('HPE_')) return { kind: 'not_openai', message: `it does not speak HTTP (${code})` };
  return { kind: 'connect', message: `the connection failed (${code})` };
}

/** Errors of Node's sockets and parsers have a code; which class they are of depends on the runtime. */
function codeOf(thrown: unknown): string | null {
  const isCoded = typeof thrown === 'object' && thrown !== null && 'code' in thrown;
  return isCoded && typeof thrown.code === 'string' ? thrown.code : null;
}

function isLookupFailure(thrown: unknown): boolean {
  return (
    typeof thrown === 'object' && thrown !== null && 'syscall' in thrown && thrown.syscall === 'getaddrinfo'
  );
}

/**
 * A body without the credential, should the upstream say it back, however its JSON writes it. What is no JSON is never
 * shown, so it may stay as it is.
 */
function withoutSecret(body: string, secret: string): string {
  if (secret === '') return body;
  try {
    const plain = JSON.stringify(JSON.parse(body.trim()));
    return plain.replaceAll(JSON.stringify(secret).slice(1, -1), SECRET_REPLACED_BY);
  } catch {
    return body;
  }
}
