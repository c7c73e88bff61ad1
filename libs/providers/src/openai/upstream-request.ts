import { rewriteJson, type JsonObject } from '@tollgate/openai';

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

/** Everything as the client sent it, but for the model, the stripped members, and the usage chunk: always asked for. */
export function forwardedBody(
  sent: JsonObject,
  upstreamModel: string,
  options: { stream: boolean },
): JsonObject {
  const body: JsonObject = { ...sent, model: upstreamModel };
  for (const name of STRIPPED) delete body[name];
  const { stream_options: given } = body;
  delete body.stream_options;
  if (options.stream) {
    body.stream_options = { ...(typeof given === 'object' ? given : null), include_usage: true };
  }
  return body;
}

/** Gives a chat body the cap parameter that its model takes, and the cap itself where one is given. */
export function capChatOutput(body: JsonObject, upstreamModel: string, tokens: number | null): void {
  const isCompletionCapped = COMPLETION_CAP_MODELS.test(upstreamModel);
  if (isCompletionCapped && body.max_tokens !== undefined) {
    body.max_completion_tokens ??= body.max_tokens;
    delete body.max_tokens;
  }
  if (tokens === null) return;
  if (body.max_completion_tokens !== undefined || isCompletionCapped) body.max_completion_tokens = tokens;
  if (body.max_tokens !== undefined || body.max_completion_tokens === undefined) body.max_tokens = tokens;
}

/** Puts a form's body on its way to a deployment. @throws RequestProblem for a body that is nested too deeply. */
export function buildUpstreamRequest(call: {
  readonly path: string;
  readonly body: JsonObject;
  readonly stream: boolean;
  /** Empty where the upstream asks for none. */
  readonly credential: string;
  /** Our id of the request, by which an operator and a provider's support can speak of the same one. */
  readonly clientRequestId: string;
  /** What the client asks for by `OpenAI-Beta`; null for nothing. */
  readonly betaFeatures: string | null;
  /** W3C trace context, for an upstream that may know which requests belong together; null for strangers. */
  readonly traceparent: string | null;
}): UpstreamRequest {
  return {
    path: call.path,
    headers: {
      'content-type': 'application/json',
      accept: call.stream ? 'text/event-stream' : 'application/json',
      ...(call.credential !== '' && { authorization: `Bearer ${call.credential}` }),
      'x-client-request-id': call.clientRequestId,
      ...(call.betaFeatures !== null && { 'openai-beta': call.betaFeatures }),
      ...(call.traceparent !== null && { traceparent: call.traceparent }),
    },
    body: Buffer.from(rewriteJson(call.body)),
  };
}
