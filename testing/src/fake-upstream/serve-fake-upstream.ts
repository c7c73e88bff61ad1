import { loadConfig, portSchema } from '@tollgate/runtime';
import { z } from 'zod';
import { serveControl } from './control-server.js';
import { startFakeUpstream, type FakeUpstream } from './fake-upstream.js';

const configSchema = z.object({
  HOST: z.string().default('127.0.0.1'),
  PORT: portSchema.default(0),
  FAKE_UPSTREAM_SECRET: z.string().optional(),
});

/** Runs a fake upstream as a process of its own, controlled over HTTP. It ends with the parent that spawned it. */
export async function serveFakeUpstream(): Promise<void> {
  const config = loadConfig(configSchema);
  const started: FakeUpstream[] = [];
  const upstream = await startFakeUpstream({
    host: config.HOST,
    port: config.PORT,
    secret: config.FAKE_UPSTREAM_SECRET,
    intercept: (request, response) => started.some((it) => serveControl({ upstream: it, request, response })),
  });
  started.push(upstream);
  for (const event of ['SIGTERM', 'SIGINT', 'disconnect'] as const) {
    process.on(event, () => void upstream.stop().then(() => process.exit(0)));
  }
  if (process.send === undefined) process.stdout.write(`fake upstream: ${upstream.baseUrl}\n`);
  else process.send({ port: upstream.port });
}
