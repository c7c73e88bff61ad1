import { z } from 'zod';

/** What the fake upstream saw and did for one request: the independent witness of a test. */
export const deliverySchema = z.object({
  /** Position in order of arrival, from 0. */
  index: z.number(),
  path: z.string(),
  /** The `[marker:…]` in the prompt, which survives any rewriting of headers. */
  marker: z.string().nullable(),
  /** The header x-request-id or x-client-request-id. */
  requestId: z.string().nullable(),
  headers: z.record(z.string(), z.string()),
  /** The parsed body, or its text if it is no JSON. */
  body: z.unknown(),
  /** Client port of the connection and its how-manieth request this is, from 1. */
  clientPort: z.number(),
  requestsOnConnection: z.number(),
  arrivedAtMs: z.number(),
  /** Status of the answer; null until its head is written. */
  status: z.number().nullable(),
  streamed: z.boolean(),
  /** Content chunks (or vectors) and bytes of content in them that were handed to the socket. */
  chunks: z.number(),
  contentBytes: z.number(),
  /** Bytes of the body handed to the socket, and those of them that the kernel took. */
  bytesHanded: z.number(),
  bytesDrained: z.number(),
  /** How often writing had to wait for the reader. */
  waits: z.number(),
  /** The answer was sent to its end. */
  ended: z.boolean(),
  /** The client left before the end. */
  clientAborted: z.boolean(),
  /** The usage that was written to the socket, null if none was. */
  usage: z.unknown(),
  closedAtMs: z.number().nullable(),
});

export type Delivery = z.output<typeof deliverySchema>;

const markerPattern = /\[marker:([\w.-]+)\]/;

/** The text to put into a prompt so that its delivery can be found. */
export function marker(name: string): string {
  return `[marker:${name}]`;
}

/** The name in the first marker of a text. */
export function findMarker(text: string): string | null {
  return markerPattern.exec(text)?.[1] ?? null;
}
