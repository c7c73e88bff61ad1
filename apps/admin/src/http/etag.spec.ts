import { LINEAR_GROWTH_MAX, timeGrowth } from '@tollgate/testing';
import { Precondition, Tagged } from './etag.js';

function accepts(header: string | undefined, item: Tagged<object>): boolean {
  try {
    Precondition.parse(header).require(item);
    return true;
  } catch {
    return false;
  }
}

describe('Tagged', () => {
  it('has a strong tag that is the same for the same state and another one for another', () => {
    const { tag } = new Tagged({ a: 1, b: [2] });
    expect(tag).toMatch(/^"[\w-]{22}"$/);
    expect(new Tagged({ a: 1, b: [2] }).tag).toBe(tag);
    expect(new Tagged({ a: 1, b: [3] }).tag).not.toBe(tag);
  });

  it('stands for the state that is given instead of the item', () => {
    expect(new Tagged({ a: 1, moves: 5 }, { a: 1 }).tag).toBe(new Tagged({ a: 1 }).tag);
  });
});

describe('If-Match', () => {
  const item = new Tagged({ a: 1 });

  it('is met by no header, by *, and by a list that has the tag', () => {
    const met = [
      undefined,
      '*',
      ' * ',
      item.tag,
      `"x",${item.tag}`,
      `"a,b" ,\t${item.tag}, ,`,
      `"",${item.tag}`,
    ];
    expect(met.map((header) => accepts(header, item))).toEqual(met.map(() => true));
  });

  it('is not met by other tags, nor by weak ones', () => {
    const unmet = ['"x"', '"x", "y"', `W/${item.tag}`, `"x,${item.tag.slice(1)}`, '""'];
    expect(unmet.map((header) => accepts(header, item))).toEqual(unmet.map(() => false));
    expect(() => Precondition.parse('"x"').require(item)).toThrow(
      expect.objectContaining({
        code: 'precondition_failed',
        status: 412,
        message: expect.stringContaining('Read it again'),
      }),
    );
  });

  it.each([
    '',
    ' ',
    ',',
    'x',
    '"x',
    'x"',
    '"a" "b"',
    '"a""b"',
    '*, "a"',
    "'a'",
    '"a b"',
    'w/"a"',
    'W/',
    '"a";',
  ])('is refused as malformed: %j', (header) => {
    expect(() => Precondition.parse(header)).toThrow(
      expect.objectContaining({ code: 'malformed_request', status: 400 }),
    );
  });

  it('is read in linear time, whatever it holds', () => {
    for (const piece of [' ', ',', '"",', ' ,']) {
      const header = (count: number) => `${piece.repeat(count)}x`;
      expect(timeGrowth((hostile) => accepts(hostile, item), header, 500)).toBeLessThan(LINEAR_GROWTH_MAX);
    }
  });
});
