import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { UPSTREAM_CANARY as CANARY } from '../installation/log-canaries.js';

/** It stands in every secret of the upstream: no byte that a client gets may hold it. */
export { CANARY };

/** What the upstream's refusals and answers carry in their heads, and nobody but the gateway may see. */
const SECRET_HEADERS = {
  'openai-organization': `org-${CANARY}`,
  'x-request-id': `req_${CANARY}`,
  'set-cookie': `session=${CANARY}`,
  'x-ratelimit-remaining-tokens': CANARY,
  'x-envoy-upstream': CANARY,
};

/** A sentence with all that a provider's refusals are known to give away. */
export const TELLTALE =
  `key sk-${CANARY}0123456789 of organization org-${CANARY} at https://${CANARY}.internal:8443/v1 ` +
  `(request req_${CANARY}), Bearer ${CANARY}`;

/** One request as the upstream got it. */
export interface UpstreamCall {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: any;
  /** The gateway closed the connection before the answer was complete. */
  cancelled: boolean;
}

/** Answers a request; what it throws breaks the connection. */
export type Script = (response: ServerResponse, call: UpstreamCall) => void | Promise<void>;

/** An upstream that says whatever a test tells it to, byte for byte. */
export class ScriptedUpstream {
  readonly calls: UpstreamCall[] = [];
  private script: Script = defaultScript;
  private queue: Script[] = [];
  private readonly server: Server;

  private constructor(private readonly host: string) {
    this.server = createServer((request, response) => {
      const pieces: Buffer[] = [];
      request.on('data', (piece: Buffer) => pieces.push(piece));
      request.on('end', () => {
        const text = Buffer.concat(pieces).toString('utf8');
        const call = {
          path: request.url ?? '',
          headers: request.headers,
          body: parse(text),
          cancelled: false,
        };
        this.calls.push(call);
        response.on('close', () => (call.cancelled = !response.writableFinished));
        const script = this.queue.shift() ?? this.script;
        Promise.resolve(script(response, call)).catch(() => response.destroy());
      });
    });
    this.server.keepAliveTimeout = 60_000;
  }

  /** Starts one on this address of the machine. */
  static async start(host: string): Promise<ScriptedUpstream> {
    const upstream = new ScriptedUpstream(host);
    await new Promise<void>((resolve) => upstream.server.listen(0, host, resolve));
    return upstream;
  }

  get port(): number {
    const address = this.server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  get baseUrl(): string {
    return `http://${this.host}:${this.port}/v1`;
  }

  /** What happens to every request from now on, and forgets the calls so far. */
  answer(script: Script): void {
    this.script = script;
    this.queue = [];
    this.calls.length = 0;
  }

  /** What happens to the next requests, once each; then what was said before. */
  answerNext(...scripts: Script[]): void {
    this.queue.push(...scripts);
  }

  reset(): void {
    this.answer(defaultScript);
  }

  /** The last request that came. */
  get lastCall(): UpstreamCall {
    const call = this.calls.at(-1);
    if (call === undefined) throw new Error('nothing reached the upstream');
    return call;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

/** A JSON answer, or one that is a text as it stands. */
export function says(
  body: unknown,
  options: { status?: number; headers?: Record<string, string> } = {},
): Script {
  const { status = 200, headers = {} } = options;
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return (response) => {
    response
      .writeHead(status, { 'content-type': 'application/json', ...SECRET_HEADERS, ...headers })
      .end(text);
  };
}

/** A stream of these writes, each as it stands; `'reset'` breaks the connection, a number waits so many milliseconds. */
export function streams(...writes: (string | Buffer | number)[]): Script {
  return async (response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream', ...SECRET_HEADERS });
    response.flushHeaders();
    for (const write of writes) {
      if (write === 'reset') {
        // Lets what was written so far reach the gateway first.
        await delay(30);
        response.socket?.resetAndDestroy();
        return;
      }
      if (typeof write === 'number') await delay(write);
      else response.write(write);
    }
    response.end();
  };
}

/** An event of a stream: one chunk. */
export function frame(value: unknown): string {
  return `data: ${JSON.stringify(value)}\n\n`;
}

/** The end of a stream. */
export const DONE = 'data: [DONE]\n\n';

/** A chunk of a chat stream with one choice. */
export function chunk(
  delta: unknown,
  finishReason: string | null = null,
  more: Record<string, unknown> = {},
): string {
  const choices = [{ index: 0, delta, logprobs: null, finish_reason: finishReason }];
  return frame({ ...chunkHead, choices, ...more });
}

const chunkHead = {
  id: `chatcmpl-${CANARY}`,
  object: 'chat.completion.chunk',
  created: 1_700_000_000,
  model: `gpt-4o-${CANARY}`,
};

/** The usage object of a provider. */
export function usage(prompt: number, completion: number): Record<string, unknown> {
  return { prompt_tokens: prompt, completion_tokens: completion, total_tokens: prompt + completion };
}

/** A whole chat answer. */
export function chatAnswer(more: Record<string, unknown> = {}): Record<string, unknown> {
  const message = { role: 'assistant', content: 'Hello there.' };
  return {
    id: `chatcmpl-${CANARY}`,
    object: 'chat.completion',
    created: 1_700_000_000,
    model: `gpt-4o-${CANARY}`,
    choices: [{ index: 0, message, logprobs: null, finish_reason: 'stop' }],
    usage: usage(13, 7),
    vendor_note: CANARY,
    ...more,
  };
}

/** A refusal in OpenAI's envelope that gives everything away. */
export function refuses(status: number, error: Record<string, unknown> = {}): Script {
  const told = {
    message: `Refused: ${TELLTALE}.`,
    type: 'provider_error',
    param: null,
    code: null,
    ...error,
  };
  return says({ error: told }, { status });
}

/** A refusal whose every word is secret. */
export function breaks(status: number): Script {
  return refuses(status, { message: `${CANARY} says no`, code: CANARY, type: CANARY });
}

/** A good answer of the API that was asked, streamed where that was asked for. */
export const defaultScript: Script = (response, call) => {
  const { body, path } = call;
  if (path.endsWith('/embeddings')) return says(embeddingAnswer(body))(response, call);
  if (path.endsWith('/chat/completions')) {
    if (body?.stream !== true) return says(chatAnswer())(response, call);
    const tail = frame({ ...chunkHead, choices: [], usage: usage(13, 2) });
    const said = [
      chunk({ role: 'assistant', content: '' }),
      chunk({ content: 'Hel' }),
      chunk({ content: 'lo' }),
    ];
    return streams(...said, chunk({}, 'stop'), tail, DONE)(response, call);
  }
  if (path.endsWith('/completions')) return completes(response, call);
  return refuses(404)(response, call);
};

const completes: Script = (response, call) => {
  const head = { id: `cmpl-${CANARY}`, object: 'text_completion', created: 1_700_000_000, model: CANARY };
  const choice = (text: string, reason: string | null) => ({
    choices: [{ text, index: 0, logprobs: null, finish_reason: reason }],
  });
  if (call.body?.stream !== true) {
    return says({ ...head, ...choice('Once upon', 'stop'), usage: usage(5, 2) })(response, call);
  }
  const frames = [choice('Once', null), choice(' upon', null), choice('', 'stop')];
  return streams(
    ...frames.map((said) => frame({ ...head, ...said })),
    frame({ ...head, choices: [], usage: usage(5, 2) }),
    DONE,
  )(response, call);
};

/** Embeddings whose first number is their position, as floats. */
function embeddingAnswer(body: any): unknown {
  const { input } = body;
  const isBatch = Array.isArray(input) && typeof input[0] !== 'number';
  const count = isBatch ? input.length : 1;
  const data = Array.from({ length: count }, (_, index) => ({
    object: 'embedding',
    index,
    embedding: [index, 0.5, -0.25],
  }));
  return {
    object: 'list',
    data,
    model: CANARY,
    usage: { prompt_tokens: 4 * count, total_tokens: 4 * count },
  };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
