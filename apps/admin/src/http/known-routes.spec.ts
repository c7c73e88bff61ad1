import { fastify } from 'fastify';
import { KnownRoutes } from './known-routes.js';

describe('KnownRoutes', () => {
  const routes = new KnownRoutes();
  beforeAll(() => {
    const server = fastify();
    routes.watch(server);
    server.get('/prices', async () => null);
    server.post('/prices', async () => null);
    server.post('/prices::batch', async () => null);
    server.get('/prices/:id', async () => null);
  });

  it('knows the methods of a path', () => {
    expect(routes.methodsOf('/prices?at=now')).toEqual(['GET', 'HEAD', 'POST']);
    expect(routes.methodsOf('/prices:batch')).toEqual(['POST']);
    expect(routes.methodsOf('/prices/7')).toEqual(['GET', 'HEAD']);
  });

  it('knows nothing of other paths', () => {
    for (const path of ['/', '', '/price', '/prices/7/8', '/prices::batch', '/pricesXbatch']) {
      expect(routes.methodsOf(path)).toEqual([]);
    }
  });
});
