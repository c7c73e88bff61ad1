import type { IncomingMessage, ServerResponse } from 'node:http';
import { z } from 'zod';
import { behaviourSchema } from './behaviour.js';
import type { FakeUpstream } from './fake-upstream.js';

/** Path under which a fake upstream in a process of its own is remotely controlled. */
export const CONTROL_PATH = '/control/';

/** The calls of the remote control; each is a POST with a JSON body and answers `{ result }` or `{ failure }`. */
export const controlCalls = {
  behave: z.object({ behaviour: behaviourSchema }),
  behaveNext: z.object({ behaviour: behaviourSchema, times: z.number().int() }),
  behaveFor: z.object({ name: z.string(), behaviour: behaviourSchema }),
  release: z.object({}),
  arrivals: z.object({}),
  waitForArrivals: z.object({ count: z.number().int(), timeoutMs: z.number().int() }),
  deliveries: z.object({}),
  deliveryOf: z.object({ name: z.string() }),
  reset: z.object({}),
} as const;

export type ControlCall = keyof typeof controlCalls;

/** Takes requests to the control path and carries them out; true if it was one. */
export function serveControl(options: {
  upstream: FakeUpstream;
  request: IncomingMessage;
  response: ServerResponse;
}): boolean {
  const { upstream, request, response } = options;
  const url = request.url ?? '/';
  if (!url.startsWith(CONTROL_PATH)) return false;
  const answer = (status: number, body: unknown): void => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  };
  readJson(request)
    .then((body) => carryOut(upstream, url.slice(CONTROL_PATH.length), body))
    .then(
      (result) => answer(200, { result: result ?? null }),
      (error: unknown) => answer(400, { failure: error instanceof Error ? error.message : String(error) }),
    );
  return true;
}

async function carryOut(upstream: FakeUpstream, call: string, body: unknown): Promise<unknown> {
  switch (call) {
    case 'behave':
      return upstream.behave(controlCalls.behave.parse(body).behaviour);
    case 'behaveNext': {
      const { behaviour, times } = controlCalls.behaveNext.parse(body);
      return upstream.behaveNext(behaviour, times);
    }
    case 'behaveFor': {
      const { name, behaviour } = controlCalls.behaveFor.parse(body);
      return upstream.behaveFor(name, behaviour);
    }
    case 'release':
      return upstream.release();
    case 'arrivals':
      return upstream.arrivals();
    case 'waitForArrivals': {
      const { count, timeoutMs } = controlCalls.waitForArrivals.parse(body);
      return upstream.waitForArrivals(count, timeoutMs);
    }
    case 'deliveries':
      return upstream.deliveries();
    case 'deliveryOf':
      return upstream.deliveryOf(controlCalls.deliveryOf.parse(body).name);
    case 'reset':
      return upstream.reset();
    default:
      throw new Error(`the fake upstream knows no call ${call}`);
  }
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  let text = '';
  request.setEncoding('utf8');
  for await (const piece of request) text += String(piece);
  return text === '' ? {} : JSON.parse(text);
}
