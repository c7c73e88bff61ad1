import { z } from 'zod';

const CALL_TIMEOUT_MS = 15_000;

/** The admin process refused a call, with the code of its problem document. */
export class AdminCallError extends Error {
  override readonly name = 'AdminCallError';

  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

const problemSchema = z.object({ code: z.string(), detail: z.string().optional() });

export interface AdminCall<Answer> {
  /** Below `/admin/v1`. */
  readonly path: string;
  readonly answer: z.ZodType<Answer>;
  /** Makes it a POST, unless another method is named. */
  readonly body?: unknown;
  readonly method?: 'DELETE' | 'PATCH';
  readonly idempotencyKey?: string;
}

/** Calls the admin process as an operator does. */
export class AdminClient {
  constructor(
    private readonly origin: string,
    private readonly operatorToken: string,
  ) {}

  /** @throws AdminCallError for a refusal. */
  async call<Answer>(call: AdminCall<Answer>): Promise<Answer> {
    const { path, body, method, idempotencyKey } = call;
    const response = await fetch(new URL(`/admin/v1${path}`, this.origin), {
      method: method ?? (body === undefined ? 'GET' : 'POST'),
      headers: {
        authorization: `Bearer ${this.operatorToken}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey }),
      },
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: AbortSignal.timeout(CALL_TIMEOUT_MS),
    });
    const text = await response.text();
    const parsed: unknown = text === '' ? null : JSON.parse(text);
    if (response.ok) return call.answer.parse(parsed);
    const { code, detail } = problemSchema.catch({ code: `http_${response.status}` }).parse(parsed);
    throw new AdminCallError(code, `${path}: ${detail ?? code}`);
  }

  /** What a list finds first, or what is made because it found nothing. */
  async findOrCreate<Answer>(options: {
    find: string;
    create: string;
    body: unknown;
    answer: z.ZodType<Answer>;
  }): Promise<Answer> {
    const { find, create, body, answer } = options;
    const { data } = await this.call({ path: find, answer: z.object({ data: z.array(answer) }) });
    const [found] = data;
    return found ?? this.call({ path: create, body, answer });
  }
}
