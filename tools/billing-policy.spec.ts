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

const promises = rows().filter((cells) => cells.length === 4);
const proofs = rows().filter((cells) => cells.length === 3);

it('numbers its lines without gaps', () => {
  expect(promises.length).toBeGreaterThan(15);
  expect(promises.map(([number]) => number)).toEqual(promises.map((_, index) => `P${index + 1}`));
});

it('has a test for every line, and a line for every test', () => {
  expect([...new Set(proofs.map(([number]) => number))]).toEqual(promises.map(([number]) => number));
});

it.each(proofs)('%s: %s has the test "%s"', (_, file = '', title = '') => {
  const path = join(root, file.replaceAll('`', ''));
  expect(existsSync(path)).toBe(true);
  // The document's quotation marks are plain, the sources' perhaps typographic.
  expect(readFileSync(path, 'utf8').replaceAll('’', "'")).toContain(title);
});
