import type { SeededChoice } from '../seeded-choice.js';
import type { Life } from '../world/app-process.js';
import type { App } from '../world/world.js';

/** A place in a process, and how probable its death there is each time it comes by. */
interface NamedPoint {
  readonly app: App;
  readonly name: string;
  readonly probability: number;
}

/** About one death in ten to thirty seconds of traffic, wherever the process is; some places are seldom reached at all. */
const POINTS: readonly NamedPoint[] = [
  { app: 'gateway', name: 'g.hold.ok', probability: 0.002 },
  { app: 'gateway', name: 'g.grant.ok', probability: 0.05 },
  { app: 'gateway', name: 'g.upstream.sent', probability: 0.002 },
  { app: 'gateway', name: 'g.stream.chunk', probability: 0.0005 },
  { app: 'gateway', name: 'g.usage.seen', probability: 0.002 },
  { app: 'gateway', name: 'g.journal.ok', probability: 0.004 },
  { app: 'gateway', name: 'g.settle.sent', probability: 0.004 },
  { app: 'gateway', name: 'g.settle.ok', probability: 0.004 },
  { app: 'gateway', name: 'g.sigterm', probability: 1 },
  { app: 'billing', name: 'w.read', probability: 0.004 },
  { app: 'billing', name: 'w.commit.ok', probability: 0.004 },
  { app: 'billing', name: 'w.ack.ok', probability: 0.004 },
  { app: 'billing', name: 'w.sweep.ok', probability: 0.5 },
  { app: 'billing', name: 'w.shut.ok', probability: 0.2 },
];

const SEED_MAX = 999_999_999;

/** Arms processes as they start, the point that struck least often first, and counts what struck. */
export class NamedPoints {
  readonly struck = new Map<string, number>();
  private isOn = true;

  constructor(
    private readonly choice: SeededChoice,
    /** What part of the processes is armed. */
    private readonly armed: number,
    private readonly wanted: (name: string) => boolean,
  ) {}

  /** FAULT for a process that is about to start; null: it is left alone. */
  next(app: App): string | null {
    const candidates = POINTS.filter((point) => point.app === app && this.wanted(point.name));
    if (!this.isOn || candidates.length === 0 || !this.choice.chance(this.armed)) return null;
    const least = Math.min(...candidates.map(({ name }) => this.struckAt(name)));
    const point = this.choice.pick(candidates.filter(({ name }) => this.struckAt(name) === least));
    return `${point.name}:${point.probability}:${this.choice.between(1, SEED_MAX)}`;
  }

  /** A process ended: of what it was armed with, if nobody else killed it. Answers the point. */
  noteEnd({ armedFault, end, isEndWanted }: Life): string | null {
    const point = armedFault?.split(':', 1)[0];
    if (point === undefined || end !== 'SIGKILL' || (isEndWanted && point !== 'g.sigterm')) return null;
    this.struck.set(point, this.struckAt(point) + 1);
    return point;
  }

  stop(): void {
    this.isOn = false;
  }

  private struckAt(name: string): number {
    return this.struck.get(name) ?? 0;
  }
}
