import type { UsageEvent } from '@tollgate/contracts';
import {
  LATENCY_BOUNDS_SECONDS,
  type Counter,
  type CounterFamily,
  type HistogramFamily,
  type ProcessMetrics,
} from '@tollgate/runtime';
import { UNIT_KINDS } from '@tollgate/pricing';
import { HoldStoreMetrics } from './hold-store-metrics.js';
import { watchJournal, type JournalFigures } from './journal-metrics.js';

/** Models, and deployments, that have series of their own; the traffic of all others is counted together. */
const NAMES_MAX = 1_000;
const OTHER = 'other';

const NANO_PER_CREDIT = 1e9;

/** What is asked for when the metrics are scraped. */
export interface GatewayGauges {
  readonly requestsInFlight: () => number;
  readonly liveHolds: () => number;
  readonly bufferedEvents: () => number;
  readonly bufferedEventsMax: number;
  /** Null where there is no journal. */
  readonly journal: () => JournalFigures | null;
}

/** A request as its metrics see it when it is over. */
export interface EndedRequest {
  /** The route's pattern, never the path. */
  readonly endpoint: string;
  /** A model of the catalog; `unknown` where none was found. */
  readonly model: string;
  readonly outcome: string;
  readonly status: number;
  readonly seconds: number;
  /** Until the first token of a stream; null where there was none. */
  readonly firstTokenSeconds: number | null;
}

/** What the gateway counts. Names, labels and units are described in docs/observability.md. */
export class GatewayMetrics {
  readonly holds: {
    readonly placed: Counter;
    readonly refused: Counter;
    readonly setAside: Counter;
    readonly unavailable: Counter;
  };
  readonly extensions: {
    readonly granted: Counter;
    readonly refused: Counter;
    readonly unavailable: Counter;
  };
  readonly events: { readonly queued: Counter; readonly settledDirectly: Counter };
  readonly holdStore: HoldStoreMetrics;
  openStreams = 0;
  private readonly requests: CounterFamily;
  private readonly durations: HistogramFamily;
  private readonly firstTokens: HistogramFamily;
  private readonly attempts: CounterFamily;
  private readonly firstBytes: HistogramFamily;
  private readonly refusals: CounterFamily;
  private readonly tokens: CounterFamily;
  private readonly cost: CounterFamily;
  private readonly models = new BoundedNames(NAMES_MAX);
  private readonly deployments = new BoundedNames(NAMES_MAX);
  private readonly usage = new Map<string, { readonly tokens: readonly Counter[]; readonly cost: Counter }>();

  constructor(private readonly metrics: ProcessMetrics) {
    const of = requestFamilies(metrics);
    this.requests = of.requests;
    this.durations = of.durations;
    this.firstTokens = of.firstTokens;
    this.refusals = of.refusals;
    this.tokens = of.tokens;
    this.cost = of.cost;
    this.attempts = metrics.counter({
      name: 'tollgate_gateway_upstream_attempts_total',
      help: 'Attempts on deployments by how they ended.',
      labelNames: ['deployment', 'result'],
    });
    this.firstBytes = metrics.histogram({
      name: 'tollgate_gateway_upstream_first_byte_seconds',
      help: 'From the beginning of an attempt to the head of its answer.',
      labelNames: ['deployment'],
      bounds: LATENCY_BOUNDS_SECONDS,
    });
    const holds = metrics.counter({
      name: 'tollgate_gateway_holds_total',
      help: 'Holds that requests asked for, by what the ledger answered.',
      labelNames: ['result'],
    });
    const extensions = metrics.counter({
      name: 'tollgate_gateway_hold_extensions_total',
      help: 'Extensions that streams asked for, by what the ledger answered.',
      labelNames: ['result'],
    });
    const events = metrics.counter({
      name: 'tollgate_gateway_usage_events_total',
      help: 'Usage events that were accepted, by who took them.',
      labelNames: ['taker'],
    });
    const [refused, unavailable] = ['refused', 'unavailable'];
    this.holds = {
      placed: holds.with('placed'),
      refused: holds.with(refused),
      setAside: holds.with('set_aside'),
      unavailable: holds.with(unavailable),
    };
    this.extensions = {
      granted: extensions.with('granted'),
      refused: extensions.with(refused),
      unavailable: extensions.with(unavailable),
    };
    this.holdStore = new HoldStoreMetrics(metrics);
    this.events = { queued: events.with('queue'), settledDirectly: events.with('ledger') };
  }

  /** Shows what the gateway's parts hold at the moment of a scrape. */
  watch(gauges: GatewayGauges): void {
    const show = (name: string, help: string, read: () => number): void =>
      this.metrics.gauge({ name, help, read });
    show(
      'tollgate_gateway_requests_in_flight',
      'Requests that are being relayed, streams included.',
      gauges.requestsInFlight,
    );
    show('tollgate_gateway_open_streams', 'Streams whose head is out.', () => this.openStreams);
    show('tollgate_gateway_live_holds', 'Holds that are kept alive.', gauges.liveHolds);
    show(
      'tollgate_gateway_usage_events_buffered',
      'Usage events that nobody has taken yet.',
      gauges.bufferedEvents,
    );
    show(
      'tollgate_gateway_usage_events_buffered_max',
      'Buffered events at which new requests are refused.',
      () => gauges.bufferedEventsMax,
    );
    watchJournal(this.metrics, gauges.journal);
  }

  /** A request that named a path of the API is over. */
  ended({ endpoint, model, outcome, status, seconds, firstTokenSeconds }: EndedRequest): void {
    const name = this.models.bounded(model);
    this.requests.with(endpoint, name, outcome, String(status)).add();
    this.durations.with(endpoint, name).observe(seconds);
    if (firstTokenSeconds !== null) this.firstTokens.with(endpoint, name).observe(firstTokenSeconds);
  }

  /** What a request used and cost. */
  used({ model, units, costNano }: Pick<UsageEvent, 'model' | 'units' | 'costNano'>): void {
    const { tokens, cost } = this.usageOf(this.models.bounded(model));
    UNIT_KINDS.forEach((kind, index) => {
      const count = units[kind];
      if (count !== undefined) tokens[index]?.add(count);
    });
    cost.add(Number(costNano) / NANO_PER_CREDIT);
  }

  /** The gateway refused a request, by the name of the refusal in the error table. */
  refused(code: string, status: number): void {
    this.refusals.with(code, String(status)).add();
  }

  /** An attempt is over; `firstByteSeconds` is null where no head came. */
  attempted(deployment: string, result: string, firstByteSeconds: number | null): void {
    const name = this.deployments.bounded(deployment);
    this.attempts.with(name, result).add();
    if (firstByteSeconds !== null) this.firstBytes.with(name).observe(firstByteSeconds);
  }

  private usageOf(model: string): { readonly tokens: readonly Counter[]; readonly cost: Counter } {
    let usage = this.usage.get(model);
    if (usage === undefined) {
      usage = {
        tokens: UNIT_KINDS.map((kind) => this.tokens.with(model, kind)),
        cost: this.cost.with(model),
      };
      this.usage.set(model, usage);
    }
    return usage;
  }
}

function requestFamilies(metrics: ProcessMetrics): {
  readonly requests: CounterFamily;
  readonly durations: HistogramFamily;
  readonly firstTokens: HistogramFamily;
  readonly refusals: CounterFamily;
  readonly tokens: CounterFamily;
  readonly cost: CounterFamily;
} {
  return {
    requests: metrics.counter({
      name: 'tollgate_gateway_requests_total',
      help: 'Requests to the API by how they ended.',
      labelNames: ['endpoint', 'model', 'outcome', 'status'],
    }),
    durations: metrics.histogram({
      name: 'tollgate_gateway_request_duration_seconds',
      help: 'From the head of a request to the end of its answer.',
      labelNames: ['endpoint', 'model'],
      bounds: LATENCY_BOUNDS_SECONDS,
    }),
    firstTokens: metrics.histogram({
      name: 'tollgate_gateway_time_to_first_token_seconds',
      help: 'From the head of a streamed request to the first output that goes to its client.',
      labelNames: ['endpoint', 'model'],
      bounds: LATENCY_BOUNDS_SECONDS,
    }),
    refusals: metrics.counter({
      name: 'tollgate_gateway_refusals_total',
      help: 'Refusals by their name in the error table.',
      labelNames: ['code', 'status'],
    }),
    tokens: metrics.counter({
      name: 'tollgate_gateway_tokens_total',
      help: 'Tokens by kind; the kinds are disjoint.',
      labelNames: ['model', 'kind'],
    }),
    cost: metrics.counter({
      name: 'tollgate_gateway_cost_credits_total',
      help: 'What requests cost their accounts.',
      labelNames: ['model'],
    }),
  };
}

/** Keeps the number of label values bounded, whatever the catalog grows to. */
class BoundedNames {
  private readonly names = new Set<string>();

  constructor(private readonly namesMax: number) {}

  bounded(name: string): string {
    if (this.names.has(name)) return name;
    if (this.names.size >= this.namesMax) return OTHER;
    this.names.add(name);
    return name;
  }
}
