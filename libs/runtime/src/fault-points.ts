import { z } from 'zod';
import { loadConfig } from './config.js';

/** What happens at a point: the process is killed as by `kill -9`, frozen as by SIGSTOP, or the step fails as if its connection was cut. */
const ACTIONS = ['kill', 'freeze', 'cut'] as const;
type Action = (typeof ACTIONS)[number];

/** `point:probability:seed[:action]`, such as `g.hold.ok:0.01:7:kill`. */
const FAULT = /^([a-z][\w.]*):(0?\.\d+|0|1|1\.0+):(\d{1,9})(?::(kill|freeze|cut))?$/;

const faultSchema = z.object({
  FAULT: z.string().regex(FAULT, 'must be point:probability:seed[:kill|freeze|cut]').optional(),
});

/** A step failed on purpose, as if its connection was cut: whether it was carried out nobody can tell. */
export class CutConnectionError extends Error {
  override readonly name = 'CutConnectionError';
  readonly code = 'ECONNRESET';
}

/** One armed point. */
export class ArmedFault {
  private state: number;

  constructor(
    readonly point: string,
    private readonly probability: number,
    seed: number,
    readonly action: Action,
  ) {
    this.state = seed | 0;
  }

  /** @throws Error for a text that is no fault. */
  static parse(text: string): ArmedFault {
    const [, point = '', probability, seed, action = 'kill'] = FAULT.exec(text) ?? [];
    if (point === '') throw new Error(`${text} is no fault: point:probability:seed[:action]`);
    const known = ACTIONS.find((name) => name === action) ?? 'kill';
    return new ArmedFault(point, Number(probability), Number(seed), known);
  }

  /** Whether it strikes this time: the same seed always gives the same answers (mulberry32). */
  strikes(): boolean {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.state ^ (this.state >>> 15), this.state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32 < this.probability;
  }
}

const { FAULT: armedText } = loadConfig(faultSchema);
const armed = armedText === undefined ? null : ArmedFault.parse(armedText);

/**
 * A place between two steps of the money path, where a crash test lets this process die. It does nothing, and costs a comparison,
 * unless the environment's FAULT names it.
 * @throws CutConnectionError where that is what FAULT asks for.
 */
export function faultPoint(point: string): void {
  if (armed === null || armed.point !== point || !armed.strikes()) return;
  if (armed.action === 'cut') throw new CutConnectionError(`the connection was cut at ${point}`);
  process.kill(process.pid, armed.action === 'kill' ? 'SIGKILL' : 'SIGSTOP');
}
