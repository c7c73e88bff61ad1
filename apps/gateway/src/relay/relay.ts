import { faultPoint, within, type Logger } from '@tollgate/runtime';
import type { Caller } from '../auth/caller.js';
import type { RequestDialect } from '../dialects/dialect-profile.js';
import type { LiveHolds } from '../hold/live-holds.js';
import { readJsonBody } from '../http/json-body.js';
import type { PathModel } from '../http/url-normaliser.js';
import type { InFlightLimit } from '../limits/in-flight-limit.js';
import { UsageMeter } from '../metering/usage-meter.js';
import type { UsagePublisher } from '../metering/usage-publisher.js';
import type { CatalogHolder } from '../routing/catalog-holder.js';
import { orderDeployments } from '../routing/router.js';
import { ClientClosedError, type ClientConnection } from '../http/client-connection.js';
import { deliverAnswer, type SendEnd } from '../stream/deliver-answer.js';
import type { ObservedRequest } from '../telemetry/observed-request.js';
import type { UpstreamAttempts } from '../upstream/upstream-attempts.js';
import type { ApiParser } from './api-request.js';
import { GatewayError } from './gateway-errors.js';
import { withPathModel } from './path-model.js';
import { resolve } from './request-plan.js';

/** A request as it came, its caller already known: authentication happens before a stranger's body is read. */
export interface Arrival {
  readonly requestId: string;
  readonly caller: Caller;
  readonly contentType: string | undefined;
  readonly body: Buffer;
  readonly client: ClientConnection;
  readonly dialect: RequestDialect;
  /** Reads the body as the endpoint takes it. */
  readonly parse: ApiParser;
  /** Monotonic milliseconds. */
  readonly startedAtMs: number;
  /** How long the client says that it waits for the head; null where it does not say. */
  readonly clientTimeoutMs: number | null;
  /** The model that the path named, if it did. */
  readonly pathModel: PathModel | null;
  /** What `OpenAI-Beta` asks for, to be forwarded; null where it asks for nothing. */
  readonly betaFeatures: string | null;
  readonly observed: ObservedRequest;
}

/** What the steps of a request are done by. */
export interface RelaySteps {
  readonly catalog: CatalogHolder;
  readonly limit: InFlightLimit;
  readonly holds: LiveHolds;
  readonly upstream: UpstreamAttempts;
  readonly publisher: UsagePublisher;
  readonly logger: Logger;
}

/**
 * Serves one request from end to end; read it beside "Life of a request" in docs/architecture.md.
 * @throws GatewayError or RequestProblem for whatever can still be answered with a status.
 */
export async function relay(arrival: Arrival, steps: RelaySteps): Promise<void> {
  const { client, observed } = arrival;
  const request = arrival.parse(withPathModel(readJsonBody(arrival), arrival.pathModel), arrival.dialect);
  const plan = resolve(arrival, request, steps.catalog.current);
  const leave = enter(steps);
  observed.relayBegins(plan.offer.model.name, request.stream);
  try {
    const hold = await within(observed.span, 'hold', () => steps.holds.place(plan));
    faultPoint('g.hold.ok');
    steps.publisher.begun(hold);
    const meter = new UsageMeter(plan, steps.logger);
    let sendEnd: SendEnd | null = null;
    try {
      const relayed = { plan, hold, meter, client, observed };
      const deployments = orderDeployments(plan.offer.model.deployments);
      const opened = await steps.upstream.open(relayed, deployments);
      sendEnd = await deliverAnswer(relayed, opened);
    } catch (error) {
      if (!(error instanceof ClientClosedError)) throw error;
      meter.outcome = 'client_closed';
    } finally {
      const event = hold.drawnOn(meter.finish());
      hold.end(event);
      observed.relayEnds(event);
      faultPoint('g.usage.seen');
      steps.publisher.publish(event, observed.span);
      // Only now: a process that dies in between has served a client that does not have its whole answer.
      sendEnd?.();
    }
  } finally {
    leave();
    observed.relayLeaves();
  }
}

/** Takes a place among the requests in flight, if the event that the request will leave has room to wait in. */
function enter(steps: RelaySteps): () => void {
  if (!steps.publisher.hasRoom) throw new GatewayError('billing_unavailable');
  return steps.limit.enter();
}
