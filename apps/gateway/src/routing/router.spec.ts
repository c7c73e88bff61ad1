import type { Deployment } from './catalog.js';
import { orderDeployments } from './router.js';

const deployment = (id: string, priority: number, weight: number): Deployment => ({
  id,
  name: id,
  origin: 'http://127.0.0.1:1',
  basePath: '/v1',
  credential: 'c',
  upstreamModel: 'm',
  apis: null,
  priority,
  weight,
  firstByteTimeoutMs: 1,
  forwardTraceContext: false,
});

describe('orderDeployments', () => {
  it('tries higher priorities first, whatever the weights', () => {
    const order = orderDeployments([deployment('low', 0, 100), deployment('high', 5, 1)]);
    expect(order.map(({ id }) => id)).toEqual(['high', 'low']);
  });

  it('gives each its share by weight and keeps all of them in the order', () => {
    const deployments = [deployment('a', 0, 3), deployment('b', 0, 1), deployment('spare', 0, 0)];
    const random = seededRandom(1);
    let firstA = 0;
    for (let n = 0; n < 4_000; n += 1) {
      const order = orderDeployments(deployments, random).map(({ id }) => id);
      expect([...order].sort()).toEqual(['a', 'b', 'spare']);
      expect(order.at(-1)).toBe('spare');
      if (order[0] === 'a') firstA += 1;
    }
    expect(firstA / 4_000).toBeCloseTo(0.75, 1);
  });
});

/** mulberry32: the outcome is the same each time. */
function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
