import { z } from 'zod';

/** What the demo upstream reads from its environment beside its address; the launcher judges it before it starts anything. */
export const demoSettings = {
  DEMO_PIECE_DELAY_MS: z.coerce
    .number('must be 0 to 10000 milliseconds')
    .int()
    .min(0)
    .max(10_000)
    .default(10),
};
