/** Upper bounds in seconds of what a person waits for: from ten milliseconds to ten minutes. */
export const LATENCY_BOUNDS_SECONDS: readonly number[] = [
  0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600,
];
