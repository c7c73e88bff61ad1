import { pinnedVersion } from './installed-clients.js';
import { ERROR_NAMES, type AnswerName, type ErrorName, type ScenarioName } from './scenarios.js';

/** An error as the program with the client in it sees it: "class status code"; and how often the client asked until then. */
export interface SeenError {
  readonly seen: string;
  readonly requests: number;
}

/** What a program sees where a client gives it what came so far, as if it was all. */
export const NO_ERROR = 'no error: the text so far';

/** One real client: how it is started and what is expected of it. */
export interface RealClient {
  /** In markers. */
  readonly name: string;
  /** In the document and in the names of tests. */
  readonly title: string;
  /** In e2e/clients. */
  readonly folder: string;
  /** From here. */
  readonly script: string;
  /** `newer` does not run on Node 20. */
  readonly node: 'any' | 'newer';
  /** What it can do. */
  readonly answers: readonly AnswerName[];
  /** Its streams tell the usage. */
  readonly streamsUsage: boolean;
  readonly errors: Readonly<Record<ErrorName, SeenError>>;
}

const EMBEDDINGS = ['embedding', 'embeddings', 'embeddings_float'] as const;
const CHAT = ['text', 'stream', 'abort'] as const;

function once(seen: string): SeenError {
  return { seen, requests: 1 };
}

/** Tried again twice, as most clients do where that could help. */
function thrice(seen: string): SeenError {
  return { seen, requests: 3 };
}

function sevenTimes(seen: string): SeenError {
  return { seen, requests: 7 };
}

/** axios: never tries again, and an answer that was asked for as a stream it does not read. */
const AXIOS_ERRORS: RealClient['errors'] = {
  wrong_key: once('AxiosError 401 invalid_api_key'),
  unknown_model: once('AxiosError 404 model_not_found'),
  bad_parameter: once('AxiosError 400 decimal_above_max_value'),
  context_too_long: once('AxiosError 400 context_length_exceeded'),
  no_credit: once('AxiosError 429 insufficient_quota'),
  no_credit_streamed: once('AxiosError 429'),
  upstream_busy: once('AxiosError 429 rate_limit_exceeded'),
  upstream_failed: once('AxiosError 502 upstream_error'),
  upstream_locked: once('AxiosError 502 upstream_error'),
  stream_failed: once('Error upstream_error'),
};

/** Obeys `x-should-retry` and `retry-after`. */
const OPENAI_ERRORS: RealClient['errors'] = {
  wrong_key: once('AuthenticationError 401 invalid_api_key'),
  unknown_model: once('NotFoundError 404 model_not_found'),
  bad_parameter: once('BadRequestError 400 decimal_above_max_value'),
  context_too_long: once('BadRequestError 400 context_length_exceeded'),
  no_credit: once('RateLimitError 429 insufficient_quota'),
  no_credit_streamed: once('RateLimitError 429 insufficient_quota'),
  upstream_busy: thrice('RateLimitError 429 rate_limit_exceeded'),
  upstream_failed: thrice('InternalServerError 502 upstream_error'),
  upstream_locked: once('InternalServerError 502 upstream_error'),
  stream_failed: once('APIError upstream_error'),
};

/** Never tries again; the code stands in the text of the message. It knows no errors in a stream. */
const CHATGPT_ERRORS: RealClient['errors'] = {
  wrong_key: once('ChatGPTError 401 invalid_api_key'),
  unknown_model: once('ChatGPTError 404 model_not_found'),
  bad_parameter: once('ChatGPTError 400 decimal_above_max_value'),
  context_too_long: once('ChatGPTError 400 context_length_exceeded'),
  no_credit: once('ChatGPTError 429 insufficient_quota'),
  no_credit_streamed: once('ChatGPTError 429 insufficient_quota'),
  upstream_busy: once('ChatGPTError 429 rate_limit_exceeded'),
  upstream_failed: once('ChatGPTError 502 upstream_error'),
  upstream_locked: once('ChatGPTError 502 upstream_error'),
  stream_failed: once(NO_ERROR),
};

/** Tries every 429 and 5xx again, whatever `x-should-retry` says. */
function aiSdkErrors(streamFailed: string): RealClient['errors'] {
  return {
    wrong_key: once('AI_APICallError 401 invalid_api_key'),
    unknown_model: once('AI_APICallError 404 model_not_found'),
    bad_parameter: once('AI_APICallError 400 decimal_above_max_value'),
    context_too_long: once('AI_APICallError 400 context_length_exceeded'),
    no_credit: thrice('AI_RetryError of AI_APICallError 429 insufficient_quota'),
    no_credit_streamed: thrice('AI_RetryError of AI_APICallError 429 insufficient_quota'),
    upstream_busy: thrice('AI_RetryError of AI_APICallError 429 rate_limit_exceeded'),
    upstream_failed: thrice('AI_RetryError of AI_APICallError 502 upstream_error'),
    upstream_locked: thrice('AI_RetryError of AI_APICallError 502 upstream_error'),
    stream_failed: once(streamFailed),
  };
}

/** Tries again six times, and knows our codes. */
const LANGCHAIN_ERRORS: RealClient['errors'] = {
  wrong_key: once('AuthenticationError 401 invalid_api_key'),
  unknown_model: once('NotFoundError 404 model_not_found'),
  bad_parameter: once('BadRequestError 400 decimal_above_max_value'),
  context_too_long: once('ContextOverflowError'),
  no_credit: once('InsufficientQuotaError 429 insufficient_quota'),
  no_credit_streamed: once('InsufficientQuotaError 429 insufficient_quota'),
  upstream_busy: sevenTimes('RateLimitError 429 rate_limit_exceeded'),
  upstream_failed: sevenTimes('InternalServerError 502 upstream_error'),
  upstream_locked: sevenTimes('InternalServerError 502 upstream_error'),
  stream_failed: once('APIError upstream_error'),
};

function openAi(major: 4 | 5 | 6, script: string): RealClient {
  const folder = `openai-${major}`;
  return {
    name: folder,
    title: `openai ${pinnedVersion(folder, 'openai')}`,
    folder,
    script,
    node: 'any',
    answers: [...CHAT, 'collect', ...EMBEDDINGS],
    streamsUsage: true,
    errors: OPENAI_ERRORS,
  };
}

/** The clients that are tried, in the order of the document. */
export const CLIENTS: readonly RealClient[] = [
  {
    name: 'openai-3',
    title: `openai ${pinnedVersion('openai-3', 'openai')}`,
    folder: 'openai-3',
    script: '../clients/openai-3/client.mjs',
    node: 'any',
    answers: [...CHAT, ...EMBEDDINGS],
    streamsUsage: false,
    errors: AXIOS_ERRORS,
  },
  openAi(4, '../clients/openai-4/client.mjs'),
  openAi(5, '../clients/openai-5/client.mjs'),
  openAi(6, '../clients/openai-6/client.mjs'),
  {
    name: 'chatgpt-5',
    title: `chatgpt ${pinnedVersion('chatgpt-5', 'chatgpt')}`,
    folder: 'chatgpt-5',
    script: '../clients/chatgpt-5/client.mjs',
    node: 'any',
    answers: CHAT,
    streamsUsage: false,
    errors: CHATGPT_ERRORS,
  },
  {
    name: 'chatgpt-web',
    title: `chatgpt ${pinnedVersion('chatgpt-5', 'chatgpt')} in chatgpt-web`,
    folder: 'chatgpt-5',
    script: '../clients/chatgpt-5/chatgpt-web.mjs',
    node: 'any',
    // It never aborts what it asked for, and could not: with node-fetch the call would not settle.
    answers: ['text', 'stream'],
    streamsUsage: false,
    errors: CHATGPT_ERRORS,
  },
  {
    name: 'ai-sdk-openai',
    title: `@ai-sdk/openai ${pinnedVersion('ai-sdk-openai', '@ai-sdk/openai')} chat`,
    folder: 'ai-sdk-openai',
    script: '../clients/ai-sdk-openai/client.mjs',
    node: 'newer',
    answers: [...CHAT, ...EMBEDDINGS],
    streamsUsage: true,
    // The status is the package's own: the answer's was 200.
    errors: aiSdkErrors('AI_StreamProviderError 500 upstream_error'),
  },
  {
    name: 'ai-sdk-openai-compatible',
    title: `@ai-sdk/openai-compatible ${pinnedVersion('ai-sdk-openai-compatible', '@ai-sdk/openai-compatible')}`,
    folder: 'ai-sdk-openai-compatible',
    script: '../clients/ai-sdk-openai-compatible/client.mjs',
    node: 'newer',
    answers: [...CHAT, ...EMBEDDINGS],
    streamsUsage: false,
    errors: aiSdkErrors('AI_StreamProviderError upstream_error'),
  },
  {
    name: 'langchain-openai',
    title: `@langchain/openai ${pinnedVersion('langchain-openai', '@langchain/openai')}`,
    folder: 'langchain-openai',
    script: '../clients/langchain-openai/client.mjs',
    node: 'newer',
    answers: [...CHAT, ...EMBEDDINGS],
    streamsUsage: true,
    errors: LANGCHAIN_ERRORS,
  },
];

/** All that is tried with a client. */
export function scenariosOf(client: RealClient): ScenarioName[] {
  return [...client.answers, ...ERROR_NAMES];
}
