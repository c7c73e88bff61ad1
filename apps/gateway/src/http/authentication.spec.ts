import { once } from 'node:events';
import { MasterKey } from '@tollgate/runtime';
import fastifyFactory from 'fastify';
import { CallerCache } from '../auth/caller-cache.js';
import { authenticateHead } from './authentication.js';

describe('authentication by the head', () => {
  it('leaves no rejection behind that nobody waits for, where callers cannot be looked up', async () => {
    const callers = new CallerCache(MasterKey.parse(MasterKey.generate()), async () => {
      throw new Error('connection refused');
    });
    let found = 0;
    const counting = Object.create(callers, {
      find: {
        value: (credential: string) => {
          found += 1;
          return callers.find(credential);
        },
      },
    });
    const fastify = fastifyFactory();
    const refusals: unknown[] = [];
    fastify.get('/v1/models', (request, reply) => {
      authenticateHead(request, counting)?.then(
        () => reply.send('served'),
        (error: unknown) => {
          refusals.push(error);
          void reply.status(503).send('refused');
        },
      );
    });
    const unheard = once(process, 'unhandledRejection').then(() => 'unheard');
    const answer = await fastify.inject({ url: '/v1/models', headers: { authorization: 'Bearer sk-1' } });
    expect(answer.statusCode).toBe(503);
    expect(refusals).toEqual([expect.objectContaining({ entry: 'billing_unavailable' })]);
    // Each further answer of the cache would be a promise of its own.
    expect(found).toBe(1);
    expect(await Promise.race([unheard, new Promise((resolve) => setTimeout(resolve, 50, 'none'))])).toBe(
      'none',
    );
    await fastify.close();
  });
});
