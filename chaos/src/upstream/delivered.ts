import { z } from 'zod';

/** What the upstream handed out for one request: the first of the three books. */
export const deliveredSchema = z.object({
  marker: z.string().nullable(),
  /** As the gateway named the request: `req_` and 32 hexadecimal digits. */
  requestId: z.string().nullable(),
  status: z.number().nullable(),
  isStreamed: z.boolean(),
  chunks: z.number(),
  contentBytes: z.number(),
  /** The answer was sent to its end. */
  hasEnded: z.boolean(),
  hasClientLeft: z.boolean(),
  usage: z.object({ prompt_tokens: z.number(), completion_tokens: z.number() }).nullable(),
  arrivedAtMs: z.number(),
  closedAtMs: z.number().nullable(),
});

export type Delivered = z.infer<typeof deliveredSchema>;
