/**
 * How much dearer a unit of input becomes when the input is a hundred times as long: about 1 if the time of the work is linear, about 128
 * if it is quadratic. The processor's time of one long input is divided by that of 128 short ones, which are as long together. Each
 * counts with the cheapest of several runs, and waiting for a processor does not count, so that neither a slow machine nor a busy
 * one shows.
 *
 * @param work does the work on an input that was made before the clock started
 * @param input makes the input of a size
 * @param size of the short input; the long one has 128 times the size
 */
export function timeGrowth<T>(work: (input: T) => unknown, input: (size: number) => T, size: number): number {
  const [short, long] = [input(size), input(size * FACTOR)];
  let [shortUs, longUs] = [Infinity, Infinity];
  for (let run = 0; run < RUNS; run += 1) {
    shortUs = Math.min(shortUs, processorUs(work, short, FACTOR));
    longUs = Math.min(longUs, processorUs(work, long, 1));
  }
  return longUs / shortUs;
}

/** Far more than linear work comes to, whatever caches and compilers do; a quarter of what quadratic work comes to. */
export const LINEAR_GROWTH_MAX = 32;

const FACTOR = 128;
const RUNS = 5;

function processorUs<T>(work: (input: T) => unknown, input: T, times: number): number {
  const before = process.cpuUsage();
  for (let time = 0; time < times; time += 1) work(input);
  const { user, system } = process.cpuUsage(before);
  return user + system;
}
