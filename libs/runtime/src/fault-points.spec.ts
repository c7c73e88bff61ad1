import { ArmedFault, faultPoint } from './fault-points.js';

function strikesOf(text: string, times: number): boolean[] {
  const fault = ArmedFault.parse(text);
  return Array.from({ length: times }, () => fault.strikes());
}

describe('fault points', () => {
  it('do nothing in a process without FAULT', () => {
    expect(faultPoint('g.hold.ok')).toBeUndefined();
  });

  it('strike as often as asked, and again the same for the same seed', () => {
    const strikes = strikesOf('g.hold.ok:0.1:7', 10_000);
    const count = strikes.filter(Boolean).length;
    expect(count).toBeGreaterThan(800);
    expect(count).toBeLessThan(1_200);
    expect(strikesOf('g.hold.ok:0.1:7', 10_000)).toEqual(strikes);
    expect(strikesOf('g.hold.ok:0.1:8', 10_000)).not.toEqual(strikes);
  });

  it('strike always or never where that is asked', () => {
    expect(strikesOf('w.read:1:0', 100)).toEqual(new Array(100).fill(true));
    expect(strikesOf('w.read:0:0', 100)).toEqual(new Array(100).fill(false));
  });

  it('kill unless they are told to freeze or to cut', () => {
    expect(ArmedFault.parse('w.read:1:0').action).toBe('kill');
    expect(ArmedFault.parse('w.read:1:0:freeze').action).toBe('freeze');
    expect(ArmedFault.parse('w.read:1:0:cut').action).toBe('cut');
  });

  it.each(['w.read', 'w.read:2:0', 'w.read:0.5:x', 'w.read:1:0:laugh', ''])('refuse %j', (text) => {
    expect(() => ArmedFault.parse(text)).toThrow(/is no fault/);
  });
});
