import { setTimeout as delay } from 'node:timers/promises';
import type { Violation } from '../books/jury.js';
import type { RequestCase } from '../books/request-case.js';
import type { World } from '../world/world.js';
import type { StruckFault } from './fault-schedule.js';

const SETTLE_IN_MS = 10_000;
/** Requests that are under way as Postgres goes or comes are of neither time. */
const EDGE_MS = 2_000;

/** Postgres is away for so long while clients go on. */
export async function strikePostgresOutage(world: World, forMs: number): Promise<StruckFault> {
  await delay(SETTLE_IN_MS);
  const fromMs = Date.now();
  await world.postgres.crash();
  await delay(forMs);
  await world.postgres.start();
  return { kind: 'Postgres away', fromMs, toMs: Date.now() };
}

/** Requests in an outage of Postgres are served, or told that billing is unavailable; and some are served. */
export function judgeOutage(cases: readonly RequestCase[], { fromMs, toMs }: StruckFault): Violation[] {
  const within = cases.filter(
    ({ sent }) => sent.sentAtMs > fromMs + EDGE_MS && sent.sentAtMs < toMs - EDGE_MS,
  );
  const served = within.filter(({ sent }) => sent.outcome === 'complete').length;
  const wrong = within.filter(({ sent }) => sent.outcome === 'refused' && !isExpected(sent.errorCode));
  return [
    ...(served > 0 ? [] : [{ rule: 'outage', ref: 'all', detail: 'no request was served in it' }]),
    ...wrong.map(({ sent, requestId }) => ({
      rule: 'outage',
      ref: requestId ?? sent.marker,
      detail: `answered with ${String(sent.status)} ${String(sent.errorCode)}`,
    })),
  ];
}

function isExpected(code: string | null): boolean {
  return code === 'billing_unavailable' || code === 'upstream_error';
}
