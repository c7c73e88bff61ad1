import { z } from 'zod';
import { loadConfig } from './config.js';

/** Below this, a busy machine alone would let everything expire. */
const SCALE_MIN = 0.05;

const scaleSchema = z.object({
  /**
   * What part of their time the deadlines of the money path take, and the intervals at which they are looked after: all of it,
   * unless a crash test has no time to wait for them. All processes of an installation need the same.
   */
  TIME_SCALE: z.coerce.number('must be a number').min(SCALE_MIN).max(1).default(1),
});

const { TIME_SCALE } = loadConfig(scaleSchema);

/** A deadline or an interval of the money path as this process keeps it, in milliseconds: `productionMs` unless TIME_SCALE says less. */
export function scaledMs(productionMs: number): number {
  return Math.max(1, Math.round(productionMs * TIME_SCALE));
}

/** The same in whole seconds, at least one. */
export function scaledSeconds(productionSeconds: number): number {
  return Math.max(1, Math.round(productionSeconds * TIME_SCALE));
}
