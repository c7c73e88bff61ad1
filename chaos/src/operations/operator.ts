import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';

const CALL_MAX_MS = 8_000;
const RETRY_DELAY_MS = 300;
const DONE_MAX_MS = 60_000;

/** What the admin API said in the end. */
export interface OperatorAnswer {
  readonly status: number;
  readonly body: any;
}

/** The operator: calls the admin API, and where the answer is lost calls again with the same key until there is one. */
export class Operator {
  constructor(
    private readonly origin: string,
    private readonly token: string,
  ) {}

  /** @throws Error for any refusal, and where there is no answer for a minute. */
  async done(method: string, path: string, body?: unknown): Promise<any> {
    const deadlineMs = Date.now() + DONE_MAX_MS;
    const answer = await this.call(method, path, { body, giveUpAtMs: () => deadlineMs });
    if (answer.status < 200 || answer.status >= 300) {
      throw new Error(`${method} ${path}: ${JSON.stringify(answer.body)}`);
    }
    return answer.body;
  }

  /** The definite answer: below 500 but for 503 and the like, which say that it may not have been done. */
  async call(
    method: string,
    path: string,
    { body, giveUpAtMs = () => Number.POSITIVE_INFINITY }: { body?: unknown; giveUpAtMs?: () => number } = {},
  ): Promise<OperatorAnswer> {
    const key = randomUUID();
    for (;;) {
      const answer = await this.once(method, path, { body, key }).catch(() => null);
      if (answer !== null && answer.status < 500) return answer;
      if (Date.now() > giveUpAtMs()) return { status: 0, body: answer?.body ?? null };
      await delay(RETRY_DELAY_MS);
    }
  }

  private async once(
    method: string,
    path: string,
    { body, key }: { body?: unknown; key: string },
  ): Promise<OperatorAnswer> {
    const response = await fetch(`${this.origin}/admin/v1${path}`, {
      method,
      headers: {
        authorization: `Bearer ${this.token}`,
        ...(body !== undefined && { 'content-type': 'application/json', 'idempotency-key': key }),
      },
      body: body === undefined ? null : JSON.stringify(body),
      signal: AbortSignal.timeout(CALL_MAX_MS),
    });
    const text = await response.text();
    return { status: response.status, body: text === '' ? null : JSON.parse(text) };
  }
}
