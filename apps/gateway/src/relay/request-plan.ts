import { measureChatInput, type ChatInputSize, type ChatRequest } from '@tollgate/openai';
import { isReasoningModel } from '@tollgate/providers';
import { mayUse, type Caller } from '../auth/caller.js';
import { OUTPUT_SLICE_TOKENS, OUTPUT_TOKENS_DEFAULT, type HoldBasis } from '../hold/hold-size.js';
import type { Catalog, Offer } from '../routing/catalog.js';
import { GatewayError } from './gateway-errors.js';

/** Everything about a request that is decided before anything is held or sent. */
export interface RequestPlan {
  readonly requestId: string;
  readonly caller: Caller;
  readonly request: ChatRequest;
  readonly offer: Offer;
  readonly inputSize: ChatInputSize;
  readonly holdBasis: HoldBasis;
  /** Monotonic milliseconds at which the request came. */
  readonly startedAtMs: number;
}

/**
 * Finds the model that a caller asks for, at the price in force.
 * @throws GatewayError `model_not_found`, also without a price or a deployment; `model_not_allowed`.
 */
export function resolve(
  arrival: { requestId: string; caller: Caller; startedAtMs: number },
  request: ChatRequest,
  catalog: Catalog,
): RequestPlan {
  const { caller } = arrival;
  const offer = catalog.find(request.model, caller.plan);
  if (offer === null) throw new GatewayError('model_not_found', { model: request.model });
  if (!mayUse(caller, request.model)) throw new GatewayError('model_not_allowed', { model: request.model });
  const inputSize = measureChatInput({ messages: request.messages, tools: request.body.tools });
  return {
    ...arrival,
    request,
    offer,
    inputSize,
    holdBasis: holdBasis({ caller, request, offer, inputSize }),
  };
}

function holdBasis(plan: Pick<RequestPlan, 'caller' | 'request' | 'offer' | 'inputSize'>): HoldBasis {
  const { caller, request, inputSize } = plan;
  const { model, price } = plan.offer;
  const modelMax = model.outputTokensMax ?? OUTPUT_TOKENS_DEFAULT;
  const outputCap = Math.min(request.outputTokensCap ?? modelMax, modelMax) * request.choices;
  // What a reasoning model thinks is paid for and never seen: nothing tells when a slice of it is used up.
  const isSliced =
    request.stream && !model.deployments.some(({ upstreamModel }) => isReasoningModel(upstreamModel));
  return {
    price,
    multiplierPpm: caller.multiplierPpm,
    input: inputSize,
    contextTokens: model.contextTokens,
    outputCap,
    outputWanted: isSliced ? Math.min(outputCap, OUTPUT_SLICE_TOKENS) : outputCap,
  };
}
