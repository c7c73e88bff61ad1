/**
 * How many times as much processor time work takes on an input of sixteen times the size: about 16 if its time is linear, about 256 if
 * it is quadratic. Each size counts with the cheapest of several runs, and waiting for a processor does not count, so that neither
 * a slow machine nor a busy one shows.
 *
 * @param work does the work on an input that was made before the clock started
 * @param input makes the input of a size
 * @param size of the smaller input; the work on it should take a tenth of a millisecond or more
 */
export function timeGrowth<T>(work: (input: T) => unknown, input: (size: number) => T, size: number): number {
  const [small, large] = [input(size), input(size * 16)];
  let [smallUs, largeUs] = [Infinity, Infinity];
  for (let run = 0; run < RUNS; run += 1) {
    smallUs = Math.min(smallUs, processorUs(work, small));
    largeUs = Math.min(largeUs, processorUs(work, large));
  }
  return largeUs / smallUs;
}

/** Four times what linear work has, whatever the caches do; a quarter of what quadratic work has. */
export const LINEAR_GROWTH_MAX = 64;

const RUNS = 7;

function processorUs<T>(work: (input: T) => unknown, input: T): number {
  const before = process.cpuUsage();
  work(input);
  const { user, system } = process.cpuUsage(before);
  return user + system;
}
