import { setTimeout as delay } from 'node:timers/promises';

/** Tries a check until it does not throw any more; after the time is up, what it threw last is thrown. */
export async function eventually<T>(check: () => Promise<T>, timeoutMs = 20_000, everyMs = 100): Promise<T> {
  const deadlineMs = Date.now() + timeoutMs;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (Date.now() > deadlineMs) throw error;
      await delay(everyMs);
    }
  }
}
