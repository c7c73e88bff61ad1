import { RefusedUpstreams } from './refused-upstreams.js';

class Lines {
  readonly written: unknown[] = [];

  readonly error = (fields: object, text: string): void => {
    this.written.push([fields, text]);
  };
}

describe('RefusedUpstreams', () => {
  it('tells of each deployment once, and again where it got another address', () => {
    const lines = new Lines();
    const refused = new RefusedUpstreams(lines);
    const first = { id: 'a', origin: 'http://10.0.0.1', reason: 'is in a private network' };
    for (let times = 0; times < 3; times += 1) refused.warn(first);
    refused.warn({ ...first, id: 'b' });
    refused.warn({ ...first, origin: 'http://10.0.0.2' });
    expect(lines.written).toHaveLength(3);
    expect(lines.written[0]).toEqual([
      { deploymentId: 'a', origin: 'http://10.0.0.1', reason: 'is in a private network' },
      expect.stringContaining('UPSTREAM_PRIVATE_NETWORKS=allow'),
    ]);
  });
});
