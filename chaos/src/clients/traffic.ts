import { setTimeout as delay } from 'node:timers/promises';
import { marker } from '@tollgate/testing';
import type { SeededChoice } from '../seeded-choice.js';
import { markerOf, type AnswerFault, type AskedAnswer } from '../upstream/asked-answer.js';
import type { ChaosAccount, Means } from './accounts.js';
import { callGateway, type ClientCall } from './client-call.js';
import type { SentRequest } from './sent-request.js';

/** What the clients do. */
export interface TrafficOptions {
  readonly accounts: readonly ChaosAccount[];
  /** By name, where each gateway is. */
  readonly gateways: readonly { readonly name: string; readonly origin: string }[];
  readonly requestsPerSecond: number;
  readonly choice: SeededChoice;
  /** How much of the traffic is streams of several seconds: a tenth unless a run needs more. */
  readonly longStreams: number;
  /** How requests are spread over accounts, by weight. */
  readonly means: Readonly<Record<Means, number>>;
}

const RUNNING_MAX = 300;
const TICK_MS = 20;
const AVOIDED_MS = 200;
/** How many requests go where the fewest are under way, as those of a load balancer do; the others meet a frozen gateway too. */
const BALANCED = 0.9;
/** What is usual. */
export const USUAL_MEANS: Readonly<Record<Means, number>> = {
  ample: 60,
  tight: 22,
  'spent once': 8,
  'credit line': 10,
};
const FAULTS: Readonly<Record<AnswerFault, number>> = {
  none: 95,
  reset_before_head: 1,
  reset_mid_stream: 2,
  end_mid_stream: 1,
  error_frame: 1,
};
const LEAVES = 0.05;
const FILLING = 'The quick brown fox jumps over the lazy dog. ';

/** The clients of a run: they go on sending, whatever comes back. */
export class Traffic {
  readonly sent: SentRequest[] = [];
  private readonly running = new Set<Promise<void>>();
  private isStopped = false;
  private loop: Promise<void> = Promise.resolve();
  private skipped = 0;
  private readonly runningAt = new Map<string, number>();
  private readonly downUntilMs = new Map<string, number>();

  constructor(private readonly options: TrafficOptions) {}

  start(): void {
    this.loop = this.run();
  }

  /** Stops sending, and resolves when the last answer is there. */
  async stop(): Promise<void> {
    this.isStopped = true;
    await this.loop;
    await Promise.all(this.running);
  }

  get inFlight(): number {
    return this.running.size;
  }

  private async run(): Promise<void> {
    const startedAtMs = performance.now();
    while (!this.isStopped) {
      const due = Math.floor(((performance.now() - startedAtMs) / 1_000) * this.options.requestsPerSecond);
      // What could not be sent because too much is under way is not made up for.
      while (this.sent.length + this.skipped < due) {
        if (this.running.size < RUNNING_MAX) this.send();
        else this.skipped += 1;
      }
      await delay(TICK_MS);
    }
  }

  private send(): void {
    const { choice } = this.options;
    const asked = this.ask();
    const account = this.account();
    const gateway = this.gateway();
    const model = choice.chance(0.75) ? 'chaos-small' : 'chaos-large';
    const name = markerOf(asked);
    const prompt = `${marker(name)} ${FILLING.repeat(choice.between(1, 12))}`;
    const body = JSON.stringify({
      model,
      messages: [{ role: 'user', content: prompt }],
      max_tokens: capOf(asked, choice),
      ...(asked.isStreamed && { stream: true, stream_options: { include_usage: true } }),
    });
    const sent: SentRequest = {
      asked,
      marker: name,
      account,
      model,
      gateway: gateway.name,
      promptBytes: Buffer.byteLength(prompt),
      sentAtMs: Date.now(),
      endedAtMs: 0,
      outcome: 'unreached',
      requestId: null,
      status: null,
      errorCode: null,
      contentBytes: 0,
      firstContentAtMs: null,
      usage: null,
      chargedCredits: null,
    };
    this.sent.push(sent);
    const leavesAfterMs = choice.chance(LEAVES) ? choice.between(1, 1_500) : null;
    const done = this.call(sent, { body, leavesAfterMs }).finally(() => this.running.delete(done));
    this.running.add(done);
  }

  /** As a load balancer does, asks the other gateway where one takes no connection. */
  private async call(sent: SentRequest, what: Omit<ClientCall, 'origin'>): Promise<void> {
    const { gateways } = this.options;
    const first = gateways.filter(({ name }) => name === sent.gateway);
    const others = gateways.filter(({ name }) => name !== sent.gateway);
    for (const { name, origin } of [...first, ...others]) {
      sent.gateway = name;
      sent.endedAtMs = 0;
      this.runningAt.set(name, (this.runningAt.get(name) ?? 0) + 1);
      await callGateway(sent, { origin, ...what });
      this.runningAt.set(name, (this.runningAt.get(name) ?? 0) - 1);
      // Its health check says so too: it starts without Postgres, or stops.
      const isUnready = sent.errorCode === 'server_is_overloaded';
      if (sent.outcome === 'unreached' || isUnready) this.downUntilMs.set(name, Date.now() + AVOIDED_MS);
      if (sent.outcome !== 'unreached') return;
    }
  }

  /** As a load balancer does, clients leave out for a moment what took no connection. */
  private reachable(): TrafficOptions['gateways'] {
    const { gateways } = this.options;
    const up = gateways.filter(({ name }) => (this.downUntilMs.get(name) ?? 0) < Date.now());
    return up.length === 0 ? gateways : up;
  }

  private gateway(): TrafficOptions['gateways'][number] {
    const reachable = this.reachable();
    const picked = this.options.choice.pick(reachable);
    if (!this.options.choice.chance(BALANCED)) return picked;
    const running = ({ name }: { name: string }): number => this.runningAt.get(name) ?? 0;
    return reachable.reduce((least, one) => (running(one) < running(least) ? one : least), picked);
  }

  private account(): ChaosAccount {
    const { accounts, choice, means } = this.options;
    const wanted = choice.weighted(means);
    return choice.pick(accounts.filter((account) => account.means === wanted));
  }

  private ask(): AskedAnswer {
    const { choice, longStreams } = this.options;
    const isLong = choice.chance(longStreams);
    const isStreamed = isLong || choice.chance(0.45);
    const chunks = isLong ? choice.between(10, 40) : choice.between(1, 12);
    return {
      number: this.sent.length,
      isStreamed,
      chunks,
      chunkBytes: choice.between(12, 60),
      chunkDelayMs: isLong ? choice.between(50, 300) : choice.between(0, 6),
      tokensPerChunk: choice.between(1, 4),
      hasUsage: choice.chance(0.9),
      fault: isLong ? 'none' : choice.weighted(FAULTS),
      faultAfterChunks: choice.between(0, chunks),
    };
  }
}

/** At least what will be answered, by whatever count, so that no answer costs more than its hold. */
function capOf({ chunks, chunkBytes, tokensPerChunk }: AskedAnswer, choice: SeededChoice): number {
  return Math.max(chunks * tokensPerChunk, Math.ceil((chunks * chunkBytes) / 3), choice.between(100, 400));
}
