import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

// The billing policy names a test for each of its lines; this reads whether they are there.

const root = join(__dirname, '..');
const policy = readFileSync(join(root, 'docs/billing-policy.md'), 'utf8');

/** The cells of the table rows that begin with a line's number, `P1` say. */
function rows(): string[][] {
  return policy
    .split('\n')
    .filter((line) => /^\| P\d+ /.test(line))
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
}

const isProof = ([, , file = '']: string[]): boolean => file.endsWith('.ts`');
const promises = rows().filter((cells) => !isProof(cells));
const proofs = rows().filter(isProof);
/** Lines that concern holds in Redis alone. */
const WITH_ONE_KIND = ['P23', 'P24'];

it('numbers its lines without gaps', () => {
  expect(promises.length).toBeGreaterThan(25);
  expect(promises.map(([number]) => number)).toEqual(promises.map((_, index) => `P${index + 1}`));
});

it('has a test for every line, and a line for every test', () => {
  expect([...new Set(proofs.map(([number]) => number))]).toEqual(promises.map(([number]) => number));
});

it('shows every line with both kinds of holds, or a rule that does not depend on them', () => {
  const oneKind = promises.flatMap(([number = '']) => {
    const kinds = proofs.filter(([line]) => line === number).map(([, holds]) => holds);
    const isWhole = kinds.some((holds) => holds === 'both' || holds === 'none');
    return isWhole || (kinds.includes('Postgres') && kinds.includes('Redis')) ? [] : [number];
  });
  expect(oneKind).toEqual(WITH_ONE_KIND);
});

it.each(proofs)('%s, holds in %s: %s has the test "%s"', (_, holds = '', file = '', title = '') => {
  expect(['both', 'Postgres', 'Redis', 'none']).toContain(holds);
  const path = join(root, file.replaceAll('`', ''));
  expect(existsSync(path)).toBe(true);
  // The document's quotation marks are plain, the sources' perhaps typographic or escaped.
  expect(readFileSync(path, 'utf8').replaceAll('’', "'").replaceAll("\\'", "'")).toContain(title);
});
