const TIME_DIGITS = 12;

/** The lowest UUID that a request which came in at `instant` or later can have: a UUIDv7 begins with its milliseconds. */
export function lowestRequestId(instant: Date): string {
  const digits = instant.getTime().toString(16).padStart(TIME_DIGITS, '0');
  return `${digits.slice(0, 8)}-${digits.slice(8)}-0000-0000-000000000000`;
}

/** When a request came in, by its UUIDv7. */
export function requestIdTime(requestId: string): Date {
  return new Date(Number.parseInt(requestId.replaceAll('-', '').slice(0, TIME_DIGITS), 16));
}
