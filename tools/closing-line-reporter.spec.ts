// @ts-expect-error -- a plain JavaScript file, as Jest wants its reporters, has no types.
import { closingLine } from './closing-line-reporter.mjs';

const totals = {
  numPassedTests: 12,
  numFailedTests: 0,
  numPendingTests: 0,
  numTodoTests: 0,
  numRuntimeErrorTestSuites: 0,
};

describe('the closing line of a run', () => {
  it('counts what passed and what failed', () => {
    expect(closingLine(totals)).toBe('12 passed, 0 failed');
  });

  it('counts a file that could not run as a failure', () => {
    expect(closingLine({ ...totals, numFailedTests: 1, numRuntimeErrorTestSuites: 2 })).toBe(
      '12 passed, 3 failed',
    );
  });

  it('counts what was skipped only if anything was', () => {
    expect(closingLine({ ...totals, numPendingTests: 2, numTodoTests: 1 })).toBe(
      '12 passed, 0 failed, 3 skipped',
    );
  });
});
