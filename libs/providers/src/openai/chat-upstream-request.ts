import type { ChatRequest, JsonObject } from '@tollgate/openai';

/** An HTTP request to an upstream, without its host. */
export interface UpstreamRequest {
  readonly path: string;
  readonly headers: { readonly [name: string]: string };
  readonly body: Buffer;
}

/** Members of a body that are for the gateway, or that legacy clients put there, and never for an upstream. */
const STRIPPED = ['timeout', 'request_timeout', 'api_secret_key', 'engine', 'deployment_id'] as const;

/** Model names of OpenAI that refuse `max_tokens`. */
const COMPLETION_CAP_MODELS = /^(o1|o3|o4|gpt-5)/;

/** Whether a model thinks before it answers, so that output is used up which no chunk shows. */
export function isReasoningModel(upstreamModel: string): boolean {
  return COMPLETION_CAP_MODELS.test(upstreamModel);
}

/**
 * The request to an OpenAI-compatible upstream: everything as the client sent it, but for the model, the usage chunk
 * (always asked for), the stripped members, and a cap where the balance affords less than the client asked for.
 */
export function buildChatUpstreamRequest(call: {
  readonly request: ChatRequest;
  readonly upstreamModel: string;
  readonly basePath: string;
  readonly credential: string;
  readonly affordableOutputTokens: number | null;
  /** Our id of the request, by which an operator and a provider's support can speak of the same one. */
  readonly clientRequestId: string;
}): UpstreamRequest {
  const { request, upstreamModel, affordableOutputTokens } = call;
  const body: JsonObject = { ...request.body, model: upstreamModel };
  for (const name of STRIPPED) delete body[name];
  if (request.stream) body.stream_options = { ...streamOptions(request.body), include_usage: true };
  else delete body.stream_options;
  if (COMPLETION_CAP_MODELS.test(upstreamModel) && body.max_tokens !== undefined) {
    body.max_completion_tokens ??= body.max_tokens;
    delete body.max_tokens;
  }
  if (affordableOutputTokens !== null) setCap(body, upstreamModel, affordableOutputTokens);
  return {
    path: `${call.basePath}/chat/completions`,
    headers: {
      'content-type': 'application/json',
      accept: request.stream ? 'text/event-stream' : 'application/json',
      // An upstream without a credential, such as one on the operator's own machine, is asked without one.
      ...(call.credential !== '' && { authorization: `Bearer ${call.credential}` }),
      'x-client-request-id': call.clientRequestId,
    },
    body: Buffer.from(JSON.stringify(body)),
  };
}

function streamOptions(body: JsonObject): object {
  return typeof body.stream_options === 'object' && body.stream_options !== null ? body.stream_options : {};
}

function setCap(body: JsonObject, upstreamModel: string, tokens: number): void {
  const completionCap = body.max_completion_tokens !== undefined || COMPLETION_CAP_MODELS.test(upstreamModel);
  if (completionCap) {
    body.max_completion_tokens = tokens;
    if (body.max_tokens !== undefined) body.max_tokens = tokens;
  } else {
    body.max_tokens = tokens;
  }
}
