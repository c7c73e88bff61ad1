import { setTimeout as delay } from 'node:timers/promises';
import type { SeededChoice } from '../seeded-choice.js';
import { untilRead, type EventCopy } from '../world/event-copies.js';
import { FAULT_KINDS, type FaultKind, type FaultPart, type FaultSetting } from './fault-kinds.js';

/** A fault as it happened. Times are milliseconds since the epoch. */
export interface StruckFault {
  readonly kind: string;
  readonly fromMs: number;
  readonly toMs: number;
}

export interface ScheduleOptions {
  readonly setting: FaultSetting;
  readonly choice: SeededChoice;
  readonly perSecond: number;
  /** Which kinds; all that there are unless told. */
  readonly kinds: readonly string[];
}

const TICK_MS = 100;
/** Between the losses of the two copies of usage at least, of its time in production. */
const APART_MS = 120_000;

/** Deals faults: every kind once, in an order out of the seed, then again, as fast as is wanted and parts are free. */
export class FaultSchedule {
  readonly struck: StruckFault[] = [];
  readonly failures: string[] = [];
  private readonly busy = new Set<FaultPart>();
  private readonly running = new Set<Promise<void>>();
  /** Until when a copy of usage may not be lost, and for how many losses of the other. */
  private readonly kept = { journal: { untilMs: 0, losses: 0 }, queue: { untilMs: 0, losses: 0 } };
  private deck: string[] = [];
  private isStopped = false;
  private loop: Promise<void> = Promise.resolve();

  constructor(private readonly options: ScheduleOptions) {}

  start(): void {
    this.loop = this.run();
  }

  /** Stops, and resolves when what was under way is over. */
  async stop(): Promise<void> {
    this.isStopped = true;
    await this.loop;
    await Promise.all(this.running);
  }

  private async run(): Promise<void> {
    const { perSecond } = this.options;
    const startedAtMs = performance.now();
    let dealt = 0;
    while (!this.isStopped) {
      const due = Math.floor(((performance.now() - startedAtMs) / 1_000) * perSecond);
      while (dealt < due && this.strikeNext()) dealt += 1;
      await delay(TICK_MS);
    }
  }

  /** The next card whose part is free. */
  private strikeNext(): boolean {
    const { choice, kinds } = this.options;
    // The rest of a deck may wait for each other.
    if (this.deck.length < kinds.length / 2) this.deck.push(...choice.shuffled(kinds));
    const index = this.nextIndex();
    const [name] = index < 0 ? [] : this.deck.splice(index, 1);
    if (name === undefined) return false;
    const done = this.strike(name).finally(() => this.running.delete(done));
    this.running.add(done);
    return true;
  }

  /** The first card that may be played. A card that waits for the other copy to be safe keeps those behind it from losing that. */
  private nextIndex(): number {
    let wanted: FaultKind['losesCopy'];
    return this.deck.findIndex((name) => {
      const { parts, losesCopy } = kindOf(name);
      const isFree = !parts.some((part) => this.busy.has(part));
      if (losesCopy === undefined) return isFree;
      wanted ??= losesCopy;
      const { untilMs, losses } = this.kept[losesCopy];
      return isFree && losesCopy === wanted && losses === 0 && Date.now() >= untilMs;
    });
  }

  private async strike(name: string): Promise<void> {
    const kind = kindOf(name);
    const kept = kind.losesCopy === 'journal' ? 'queue' : 'journal';
    if (kind.losesCopy !== undefined) this.kept[kept].losses += 1;
    for (const part of kind.parts) this.busy.add(part);
    const fromMs = Date.now();
    try {
      if (await kind.strike(this.options.setting)) this.struck.push({ kind: name, fromMs, toMs: Date.now() });
    } catch (error) {
      this.failures.push(`${name}: ${error instanceof Error ? error.message : String(error)}`);
    } finally {
      for (const part of kind.parts) this.busy.delete(part);
      if (kind.losesCopy !== undefined) void this.keepUntilRead(kept);
    }
  }

  /** What one copy of usage lacks is read from the other before that may be lost, however long a slow machine takes. */
  private async keepUntilRead(kept: EventCopy): Promise<void> {
    const { setting, kinds } = this.options;
    const copy = this.kept[kept];
    copy.untilMs = Date.now() + APART_MS * setting.timeScale;
    if (kinds.some((name) => kindOf(name).losesCopy === kept)) {
      await untilRead(setting.world, kept, () => this.isStopped);
    }
    copy.losses -= 1;
  }
}

function kindOf(name: string): FaultKind {
  const kind = FAULT_KINDS[name];
  if (kind === undefined) throw new Error(`there is no fault ${name}`);
  return kind;
}
