import { setTimeout as delay } from 'node:timers/promises';
import type { FastifyInstance } from 'fastify';

/** Says whether a part that the process needs is usable; a rejection or a message means no. */
export type ReadinessCheck = () => Promise<string | null> | string | null;

const CHECK_TIMEOUT_MS = 2_000;

/** Liveness and readiness of one process. Not ready while it starts, while a part is missing, and once it drains. */
export class Health {
  private readonly checks = new Map<string, ReadinessCheck>();
  private draining = false;

  /** Adds a part without which the process is not ready. */
  require(name: string, check: ReadinessCheck): void {
    this.checks.set(name, check);
  }

  /** From now on the process is not ready: it is being stopped. */
  drain(): void {
    this.draining = true;
  }

  get isDraining(): boolean {
    return this.draining;
  }

  /** The parts that are missing, by name, each with the reason; empty when the process is ready. */
  async missing(): Promise<Record<string, string>> {
    if (this.draining) return { process: 'is stopping' };
    const missing: Record<string, string> = {};
    await Promise.all(
      [...this.checks].map(async ([name, check]) => {
        const problem = await runCheck(check);
        if (problem !== null) missing[name] = problem;
      }),
    );
    return missing;
  }

  /** Serves `GET /health/live` and `GET /health/ready`, without authentication. */
  serve(fastify: FastifyInstance): void {
    fastify.get('/health/live', (_request, reply) => reply.send({ status: 'ok' }));
    fastify.get('/health/ready', async (_request, reply) => {
      const missing = await this.missing();
      const ready = Object.keys(missing).length === 0;
      return reply
        .status(ready ? 200 : 503)
        .send(ready ? { status: 'ok' } : { status: 'not_ready', missing });
    });
  }
}

async function runCheck(check: ReadinessCheck): Promise<string | null> {
  const timeout = new AbortController();
  try {
    return await Promise.race([
      Promise.resolve(check()),
      delay(CHECK_TIMEOUT_MS, 'did not answer in time', { signal: timeout.signal }),
    ]);
  } catch (error) {
    return error instanceof Error ? error.message : 'failed';
  } finally {
    timeout.abort();
  }
}
