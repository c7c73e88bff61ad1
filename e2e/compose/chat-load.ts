import { setTimeout as delay } from 'node:timers/promises';

/** How one request of the load ended. */
interface Ended {
  /** `x-request-id` as a UUID without its dashes; null where there was no answer at all. */
  readonly requestId: string | null;
  /** Null if it was served whole. */
  readonly problem: string | null;
}

export interface LoadOptions {
  readonly gatewayUrl: string;
  readonly model: string;
  /** A key for each request that runs at a moment; every second one asks for streams. */
  readonly apiKeys: readonly string[];
}

/** Requests that follow each other, as many at a time as was asked for, until they are told to stop. */
export class ChatLoad {
  readonly ended: Ended[] = [];
  private running = true;
  private readonly workers: Promise<void>[];

  constructor(private readonly options: LoadOptions) {
    this.workers = options.apiKeys.map((apiKey, n) => this.work(apiKey, n % 2 === 0));
  }

  /** Starts no further request, and waits for those that run. */
  async stop(): Promise<readonly Ended[]> {
    this.running = false;
    await Promise.all(this.workers);
    return this.ended;
  }

  private async work(apiKey: string, isStream: boolean): Promise<void> {
    while (this.running) {
      this.ended.push(await this.ask(apiKey, isStream));
      await delay(20);
    }
  }

  private async ask(apiKey: string, stream: boolean): Promise<Ended> {
    const { gatewayUrl, model } = this.options;
    let requestId: string | null = null;
    try {
      const response = await fetch(`${gatewayUrl}/v1/chat/completions`, {
        method: 'POST',
        headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' },
        body: JSON.stringify({ model, stream, messages: [{ role: 'user', content: 'load' }] }),
      });
      requestId = response.headers.get('x-request-id')?.replace('req_', '') ?? null;
      const text = await response.text();
      if (response.status !== 200) return { requestId, problem: `${response.status} ${text}` };
      const isWhole = stream ? text.endsWith('data: [DONE]\n\n') : text.endsWith('}');
      return { requestId, problem: isWhole ? null : `cut off: ${text.slice(-200)}` };
    } catch (error) {
      const cause = error instanceof Error && error.cause instanceof Error ? error.cause.message : '';
      return { requestId, problem: `${String(error)} ${cause}` };
    }
  }
}
