import { canonicalJson } from './idempotency.js';

describe('canonicalJson', () => {
  it('is the same however the fields are ordered', () => {
    expect(canonicalJson({ b: [{ y: 1, x: 2 }], a: null })).toBe('{"a":null,"b":[{"x":2,"y":1}]}');
    expect(canonicalJson({ a: null, b: [{ x: 2, y: 1 }] })).toBe(
      canonicalJson({ b: [{ y: 1, x: 2 }], a: null }),
    );
  });

  it('tells apart what is said differently', () => {
    const bodies = [{ amount: '5' }, { amount: '5.0' }, { amount: '5', note: null }, ['5'], {}];
    expect(new Set(bodies.map(canonicalJson)).size).toBe(bodies.length);
  });
});
