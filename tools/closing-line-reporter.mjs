// Jest reporter that ends a run with one plain line for scripts: "N passed, N failed" and, if any, ", N skipped".
import { writeSync } from 'node:fs';

/**
 * Makes the closing line from Jest's totals. A suite that could not run counts as one failure, a todo as skipped.
 * @param {{numPassedTests: number, numFailedTests: number, numPendingTests: number, numTodoTests: number,
 *   numRuntimeErrorTestSuites: number}} totals
 */
export function closingLine(totals) {
  const failed = totals.numFailedTests + totals.numRuntimeErrorTestSuites;
  const skipped = totals.numPendingTests + totals.numTodoTests;
  const line = `${totals.numPassedTests} passed, ${failed} failed`;
  return skipped > 0 ? `${line}, ${skipped} skipped` : line;
}

/** How long Jest may take to leave after the last test, the end of the test Postgres included. */
const EXIT_TIMEOUT_MS = 30_000;

// Jest loads a reporter by its default export.
export default class ClosingLineReporter {
  onRunComplete(_contexts, totals) {
    // Written as the process leaves, past Jest's own buffers: they would put the summary behind it.
    process.once('exit', () => writeLine(closingLine(totals)));
    // Something that a test left open must not keep the run alive for ever. Unref: a clean run leaves at once.
    setTimeout(() => {
      process.stderr.write('Jest did not leave: a test left a timer, a socket or a process open.\n');
      process.exit(1);
    }, EXIT_TIMEOUT_MS).unref();
  }
}

/** Writes to standard output at once, whatever a full pipe takes. */
function writeLine(line) {
  for (let rest = Buffer.from(`${line}\n`); rest.length > 0;) {
    try {
      rest = rest.subarray(writeSync(1, rest));
    } catch (error) {
      if (error.code !== 'EAGAIN') return;
    }
  }
}
