import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const NUMBERED = /^\| (C-\d{3}) +\|/gm;

/** Numbers in the titles of tests: at the beginning of a text, or after another number there. */
const TITLED = /(?<=['"`](?:C-\d{3} and )?)C-\d{3}(?=[ '])/g;

const documented = numbersIn(
  readFileSync(join(__dirname, '../../docs/api/conformance.md'), 'utf8'),
  NUMBERED,
);
const files = readdirSync(__dirname).filter(
  (name) => name.endsWith('.e2e-spec.ts') && !__filename.endsWith(name),
);
const sources = files.map((name) => readFileSync(join(__dirname, name), 'utf8'));
const tested = sources.flatMap((source) => numbersIn(source, TITLED));

function numbersIn(text: string, pattern: RegExp): string[] {
  return [...text.matchAll(pattern)].map(([found, number]) => number ?? found);
}

describe('the numbers of conformance.md', () => {
  it('are each there once', () => {
    expect(documented.length).toBeGreaterThan(100);
    expect(new Set(documented).size).toBe(documented.length);
  });

  it('have a test each', () => {
    expect(documented.filter((number) => !tested.includes(number))).toEqual([]);
  });

  it('are all that tests name', () => {
    expect([...new Set(tested)].filter((number) => !documented.includes(number))).toEqual([]);
  });

  it('have no test that is left out', () => {
    const leftOut = /\b(?:it|test|describe)\.(?:skip|only|todo|failing)\b|\bx(?:it|test|describe)\(/;
    expect(files.filter((_name, index) => leftOut.test(sources[index] ?? ''))).toEqual([]);
  });
});
