import { scaledMs, scaledSeconds } from './time-scale.js';

describe('the time scale', () => {
  it('leaves every time as it is in a process without TIME_SCALE', () => {
    expect(scaledMs(20_000)).toBe(20_000);
    expect(scaledSeconds(90)).toBe(90);
  });
});
