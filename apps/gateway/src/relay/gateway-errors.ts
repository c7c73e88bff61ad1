import { errorEnvelope, type ErrorEnvelope } from '@tollgate/openai';

interface ErrorEntry {
  readonly status: number;
  readonly type: string;
  readonly code: string | null;
  readonly param: string | null;
  /** `{name}` stands for a detail that is filled in. */
  readonly message: string;
  readonly headers?: { readonly [name: string]: string };
  /** A finer reason, in a member that OpenAI does not have. */
  readonly reason?: string;
}

const INVALID = { type: 'invalid_request_error', param: null } as const;
const FINAL = { 'x-should-retry': 'false' } as const;

/** Every refusal that the gateway raises itself: the one place that says what a caller gets for it. */
export const GATEWAY_ERRORS = {
  no_credential: {
    ...INVALID,
    status: 401,
    code: null,
    message:
      "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth " +
      '(i.e. Authorization: Bearer YOUR_KEY), or as the password field (with blank username) if you are accessing the ' +
      'API from your browser and are prompted for a username and password.',
    headers: { 'www-authenticate': 'Bearer' },
  },
  invalid_api_key: {
    ...INVALID,
    status: 401,
    code: 'invalid_api_key',
    message: 'Incorrect API key provided: {key}. Ask the operator of this gateway for a valid API key.',
  },
  account_deactivated: {
    ...INVALID,
    status: 401,
    code: 'account_deactivated',
    message: 'This API key cannot be used: {reason}. Contact the operator of this gateway.',
  },
  invalid_metrics_token: {
    ...INVALID,
    status: 401,
    code: 'invalid_metrics_token',
    message:
      'The metrics of this gateway need its metrics token. Send it in an Authorization header using Bearer auth ' +
      '(i.e. Authorization: Bearer METRICS_TOKEN).',
    headers: { 'www-authenticate': 'Bearer' },
  },
  model_not_allowed: {
    ...INVALID,
    status: 403,
    code: 'model_not_allowed',
    param: 'model',
    message: 'This API key may not use the model `{model}`.',
  },
  model_not_found: {
    ...INVALID,
    status: 404,
    code: 'model_not_found',
    message: 'The model `{model}` does not exist or you do not have access to it.',
  },
  unknown_url: {
    ...INVALID,
    status: 404,
    code: 'unknown_url',
    message: 'Invalid URL ({method} {path})',
  },
  generation_not_found: {
    ...INVALID,
    status: 404,
    code: 'generation_not_found',
    message:
      'There is no generation with this id among those of your API key. A generation can be read once its usage is ' +
      'settled, usually within a second of its end.',
  },
  method_not_supported: {
    ...INVALID,
    status: 405,
    code: 'method_not_supported',
    message: 'Not allowed to {method} on {path}. (HINT: Perhaps you meant to use a different HTTP method?)',
  },
  invalid_json: {
    ...INVALID,
    status: 400,
    code: null,
    message:
      'We could not parse the JSON body of your request. (HINT: This likely means you aren’t using your HTTP library ' +
      'correctly. The API expects a JSON payload, but what was sent was not valid JSON.)',
  },
  unsupported_content_type: {
    ...INVALID,
    status: 400,
    code: 'unsupported_content_type',
    message:
      "Unsupported content type: '{contentType}'. This API method only accepts 'application/json' requests, but you " +
      "specified the header 'Content-Type: {contentType}'. Please try again with a supported content type.",
  },
  malformed_request: {
    ...INVALID,
    status: 400,
    code: 'malformed_request',
    message: 'This is not a well-formed HTTP request: {reason}.',
  },
  request_too_large: {
    ...INVALID,
    status: 413,
    code: 'request_too_large',
    message: 'The body of your request is larger than {limit} bytes.',
  },
  upstream_refused: {
    ...INVALID,
    status: 400,
    code: null,
    message: '{message}',
  },
  insufficient_quota: {
    status: 429,
    type: 'insufficient_quota',
    code: 'insufficient_quota',
    param: null,
    message:
      'You exceeded your current quota, please check your plan and billing details. (available {available}, ' +
      'this request needs {needed})',
    headers: FINAL,
    reason: 'credit_balance_exhausted',
  },
  upstream_busy: {
    status: 429,
    type: 'requests',
    code: 'rate_limit_exceeded',
    param: null,
    message: 'The model `{model}` is busy at its provider. Please try again in a few seconds.',
    headers: { 'retry-after': '5' },
  },
  server_is_overloaded: {
    status: 503,
    type: 'service_unavailable_error',
    code: 'server_is_overloaded',
    param: null,
    message: 'The gateway is currently overloaded or stopping. Please try again in a few seconds.',
    headers: { 'retry-after': '5' },
  },
  billing_unavailable: {
    status: 503,
    type: 'service_unavailable_error',
    code: 'billing_unavailable',
    param: null,
    message:
      'The gateway cannot reach its ledger at the moment, so it serves nothing. Please try again in a few seconds.',
    headers: { 'retry-after': '5' },
  },
  upstream_unavailable: {
    status: 502,
    type: 'server_error',
    code: 'upstream_error',
    param: null,
    message: 'This gateway cannot use the provider of the model `{model}`. The operator has to mend it.',
    headers: FINAL,
  },
  upstream_error: {
    status: 502,
    type: 'server_error',
    code: 'upstream_error',
    param: null,
    message: 'The provider of the model `{model}` failed. You were not charged. Please try again.',
  },
  upstream_timeout: {
    status: 504,
    type: 'server_error',
    code: 'upstream_timeout',
    param: null,
    message: 'The provider of the model `{model}` did not answer in time. You were not charged.',
  },
  stream_failed: {
    status: 502,
    type: 'server_error',
    code: 'upstream_error',
    param: null,
    message:
      'The provider failed while it answered. The answer is incomplete; you are charged for what you received.',
  },
  balance_ended: {
    status: 429,
    type: 'insufficient_quota',
    code: 'insufficient_quota',
    param: null,
    message:
      'You exceeded your current quota, please check your plan and billing details. What is left of your balance may ' +
      'not cover more of this answer, so it was cut off. You are charged for what you received.',
    headers: FINAL,
    reason: 'credit_balance_exhausted',
  },
  internal_error: {
    status: 500,
    type: 'server_error',
    code: 'internal_error',
    param: null,
    message: 'The gateway had an error while processing your request. Sorry about that!',
  },
} as const satisfies { readonly [name: string]: ErrorEntry };

export type GatewayErrorName = keyof typeof GATEWAY_ERRORS;

/** What a caller said that the upstream refused: goes to the caller in the upstream's cleaned words. */
export interface UpstreamRefusal {
  readonly status: number;
  readonly code: string | null;
  readonly param: string | null;
}

/** A refusal out of the table above. `cause` is for the log and never reaches the caller. */
export class GatewayError extends Error {
  override readonly name = 'GatewayError';
  readonly status: number;
  readonly envelope: ErrorEnvelope;
  readonly headers: { readonly [name: string]: string };

  constructor(
    readonly entry: GatewayErrorName,
    details: { readonly [name: string]: string } = {},
    options: {
      cause?: unknown;
      refusal?: UpstreamRefusal;
      /** Instead of the status of the table. */
      status?: number;
      /** Instead of, or beside, the headers of the table. */
      headers?: { readonly [name: string]: string };
    } = {},
  ) {
    const { status, type, code, param, message, headers, reason }: ErrorEntry = GATEWAY_ERRORS[entry];
    const text = message.replace(/\{(\w+)\}/g, (_placeholder, name: string) => details[name] ?? '');
    super(text, { cause: options.cause });
    this.status = options.refusal?.status ?? options.status ?? status;
    this.envelope = errorEnvelope({
      message: text,
      type,
      param: options.refusal?.param ?? param,
      code: options.refusal?.code ?? code,
      ...(reason !== undefined && { reason }),
    });
    this.headers = { ...headers, ...options.headers };
  }
}
