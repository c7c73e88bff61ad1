import type { AskedAnswer } from '../upstream/asked-answer.js';
import type { ChaosAccount } from './accounts.js';

/** How a request ended, as its client saw it. */
export type ClientOutcome =
  /** The whole answer came, to its end. */
  | 'complete'
  /** The gateway answered with an error instead. */
  | 'refused'
  /** The stream ended with an error frame. */
  | 'ended with an error'
  /** The client closed the connection, on purpose. */
  | 'left'
  /** The connection broke before or in the answer. */
  | 'broken'
  /** Nothing took the connection: the request never went out. */
  | 'unreached';

/** One request, as its client saw it. Times are milliseconds since the epoch. */
export interface SentRequest {
  readonly asked: AskedAnswer;
  readonly marker: string;
  readonly account: ChaosAccount;
  readonly model: string;
  gateway: string;
  /** UTF-8 bytes of the prompt. */
  readonly promptBytes: number;
  readonly sentAtMs: number;
  endedAtMs: number;
  outcome: ClientOutcome;
  /** As the answer's head named it: a UUID; null if no head came. */
  requestId: string | null;
  status: number | null;
  /** The error's code, where there is one. */
  errorCode: string | null;
  /** UTF-8 bytes of content that came. */
  contentBytes: number;
  firstContentAtMs: number | null;
  /** The usage that the client was told. */
  usage: { readonly input: number; readonly output: number } | null;
  /** What the head said that it cost, in credits; plain answers only. */
  chargedCredits: string | null;
}

/** A UUID of `req_` and 32 digits; null for anything else. */
export function requestIdFromWire(wire: string | null | undefined): string | null {
  const digits = /^req_([0-9a-f]{32})$/.exec(wire ?? '')?.[1];
  if (digits === undefined) return null;
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
