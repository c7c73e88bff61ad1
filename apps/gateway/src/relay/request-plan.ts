import type { Settings } from '@tollgate/persistence';
import { isReasoningModel } from '@tollgate/providers';
import { mayUse, type Caller } from '../auth/caller.js';
import { OUTPUT_SLICE_TOKENS, OUTPUT_TOKENS_DEFAULT, type HoldBasis } from '../hold/hold-size.js';
import type { Catalog, Offer } from '../routing/catalog.js';
import type { ApiRequest } from './api-request.js';
import { GatewayError } from './gateway-errors.js';

/** Everything about a request that is decided before anything is held or sent. */
export interface RequestPlan {
  readonly requestId: string;
  readonly caller: Caller;
  readonly request: ApiRequest;
  readonly offer: Offer;
  readonly holdBasis: HoldBasis;
  /** What was set when the request came: its price is of that moment too. */
  readonly settings: Settings;
  /** Monotonic milliseconds at which the request came. */
  readonly startedAtMs: number;
  /** How long the client says that it waits for the head; null where it does not say. */
  readonly clientTimeoutMs: number | null;
  /** What `OpenAI-Beta` asks for, to be forwarded; null where it asks for nothing. */
  readonly betaFeatures: string | null;
}

/**
 * Finds the model that a caller asks for, at the price in force.
 * @throws GatewayError `model_not_found`, also without a price or a deployment; `model_not_allowed`.
 */
export function resolve(
  arrival: Pick<RequestPlan, 'requestId' | 'caller' | 'startedAtMs' | 'clientTimeoutMs' | 'betaFeatures'>,
  request: ApiRequest,
  catalog: Catalog,
): RequestPlan {
  const { caller } = arrival;
  const offer = catalog.find(request.model, caller.plan) ?? findStandIn(request, caller, catalog);
  if (offer === null) throw new GatewayError('model_not_found', { model: request.model });
  if (!mayUse(caller, offer.model.name)) {
    throw new GatewayError('model_not_allowed', { model: request.model });
  }
  const { requestId, startedAtMs, clientTimeoutMs, betaFeatures } = arrival;
  return {
    requestId,
    caller,
    startedAtMs,
    clientTimeoutMs,
    betaFeatures,
    request,
    offer,
    holdBasis: holdBasis({ caller, request, offer }),
    settings: catalog.settings,
  };
}

/** The nearest of the models that stand in for the one asked for: one that the caller may use, if there is any. */
function findStandIn(request: ApiRequest, caller: Caller, catalog: Catalog): Offer | null {
  const offers = request.standIns
    .map((name) => catalog.find(name, caller.plan))
    .filter((offer) => offer !== null);
  return offers.find(({ model }) => mayUse(caller, model.name)) ?? offers[0] ?? null;
}

function holdBasis(plan: Pick<RequestPlan, 'caller' | 'request' | 'offer'>): HoldBasis {
  const { caller, request } = plan;
  const { model, price } = plan.offer;
  const modelMax = model.outputTokensMax ?? OUTPUT_TOKENS_DEFAULT;
  const outputCap = Math.min(request.outputTokensCap ?? modelMax, modelMax) * request.choices;
  // What a reasoning model thinks is paid for and never seen: nothing tells when a slice of it is used up.
  const isSliced =
    request.stream && !model.deployments.some(({ upstreamModel }) => isReasoningModel(upstreamModel));
  return {
    price,
    multiplierPpm: caller.multiplierPpm,
    input: request.inputSize,
    contextTokens: model.contextTokens,
    outputCap,
    outputWanted: isSliced ? Math.min(outputCap, OUTPUT_SLICE_TOKENS) : outputCap,
  };
}
