import { spawn, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { inheritedEnvironment } from '@tollgate/runtime';
import { z } from 'zod';
import { behaviourSchema, type BehaviourInput } from './behaviour.js';
import { CONTROL_PATH, type ControlCall } from './control-server.js';
import { deliverySchema, type Delivery } from './delivery.js';
import type { FakeUpstream } from './fake-upstream.js';

const answerSchema = z.object({ result: z.unknown().optional(), failure: z.string().optional() });
const readySchema = z.object({ port: z.number() });
const START_TIMEOUT_MS = 20_000;
const ARRIVALS_TIMEOUT_MS = 10_000;

/**
 * Controls a fake upstream that already runs in another process or container; `stop` leaves it running. Its base URL may be
 * given where others reach it at another address than this process does.
 */
export function connectFakeUpstream(origin: string, options: { baseUrl?: string } = {}): FakeUpstream {
  return new RemoteFakeUpstream({ origin: new URL(origin), child: null, ...options });
}

/**
 * Starts a fake upstream in a process of its own: it survives whatever a test kills, keeps its own event loop, and
 * ends with this process.
 */
export async function spawnFakeUpstream(
  options: { port?: number; secret?: string } = {},
): Promise<FakeUpstream> {
  const here = import.meta.url;
  const fromSource = here.endsWith('.ts');
  const loader = fromSource ? ['--import', new URL('../../typescript-loader.mjs', here).href] : [];
  const main = fileURLToPath(new URL(fromSource ? './main.ts' : './main.js', here));
  const child = spawn(process.execPath, [...loader, main], {
    env: {
      ...inheritedEnvironment(),
      HOST: '127.0.0.1',
      PORT: String(options.port ?? 0),
      FAKE_UPSTREAM_SECRET: options.secret ?? '',
    },
    // A group of its own, so that a test that signals this one does not hit it.
    detached: true,
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const port = await new Promise<number>((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new Error('the fake upstream did not start in time')),
      START_TIMEOUT_MS,
    );
    child.once('message', (message) => resolve(readySchema.parse(message).port));
    child.once('exit', (code) => reject(new Error(`the fake upstream ended with ${code}`)));
    child.once('message', () => clearTimeout(timer));
  });
  child.unref();
  child.channel?.unref();
  return new RemoteFakeUpstream({ origin: new URL(`http://127.0.0.1:${port}`), child });
}

class RemoteFakeUpstream implements FakeUpstream {
  private readonly origin: URL;
  private readonly child: ChildProcess | null;
  readonly baseUrl: string;

  constructor(place: { origin: URL; child: ChildProcess | null; baseUrl?: string }) {
    this.origin = place.origin;
    this.child = place.child;
    this.baseUrl = place.baseUrl ?? new URL('/v1', place.origin).href;
  }

  get port(): number {
    return Number(this.origin.port || 80);
  }

  async behave(behaviour: BehaviourInput): Promise<void> {
    await this.call('behave', { behaviour: behaviourSchema.parse(behaviour) });
  }

  async behaveNext(behaviour: BehaviourInput, times = 1): Promise<void> {
    await this.call('behaveNext', { behaviour: behaviourSchema.parse(behaviour), times });
  }

  async behaveFor(name: string, behaviour: BehaviourInput): Promise<void> {
    await this.call('behaveFor', { name, behaviour: behaviourSchema.parse(behaviour) });
  }

  async release(): Promise<number> {
    return z.number().parse(await this.call('release', {}));
  }

  async arrivals(): Promise<number> {
    return z.number().parse(await this.call('arrivals', {}));
  }

  async waitForArrivals(count: number, timeoutMs = ARRIVALS_TIMEOUT_MS): Promise<void> {
    await this.call('waitForArrivals', { count, timeoutMs });
  }

  async deliveries(): Promise<Delivery[]> {
    return z.array(deliverySchema).parse(await this.call('deliveries', {}));
  }

  async deliveryOf(name: string): Promise<Delivery | undefined> {
    return deliverySchema.nullable().parse(await this.call('deliveryOf', { name })) ?? undefined;
  }

  async reset(): Promise<void> {
    await this.call('reset', {});
  }

  async stop(): Promise<void> {
    const { child } = this;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    child.ref();
    const exited = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    await exited;
  }

  private async call(name: ControlCall, body: unknown): Promise<unknown> {
    const response = await fetch(new URL(`${CONTROL_PATH}${name}`, this.origin), {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    const { result, failure } = answerSchema.parse(await response.json());
    if (failure !== undefined) throw new Error(failure);
    return result;
  }
}
