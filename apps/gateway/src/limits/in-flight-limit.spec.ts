import { InFlightLimit } from './in-flight-limit.js';

describe('InFlightLimit', () => {
  it('refuses beyond its bound and lets in again once somebody left', () => {
    const limit = new InFlightLimit(2);
    const leave = limit.enter();
    limit.enter();
    expect(() => limit.enter()).toThrow(expect.objectContaining({ entry: 'server_is_overloaded' }));
    leave();
    expect(() => limit.enter()).not.toThrow();
  });

  it('closes once the last one has left, and takes nobody meanwhile', async () => {
    const limit = new InFlightLimit();
    const leave = limit.enter();
    let isIdle = false;
    const closed = limit.close().then(() => {
      isIdle = true;
    });
    expect(() => limit.enter()).toThrow();
    await Promise.resolve();
    expect(isIdle).toBe(false);
    leave();
    await closed;
    expect(isIdle).toBe(true);
  });
});
