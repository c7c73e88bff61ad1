import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { answerChat } from './answer-chat.js';
import { answerEmbeddings } from './answer-embeddings.js';
import type { OpenAnswer } from './answer-refusal.js';
import { behaviourSchema, type Behaviour, type BehaviourInput } from './behaviour.js';
import { errorBody, planChat } from './chat-frames.js';
import { parseChatRequest, promptText } from './chat-request.js';
import { findMarker, type Delivery } from './delivery.js';
import { parseEmbeddingRequest } from './embedding-vectors.js';
import { Gate } from './gate.js';
import { RecordedWriter } from './recorded-writer.js';

/** How a fake upstream is started. */
export interface FakeUpstreamOptions {
  readonly host?: string;
  /** 0 or nothing takes a free port. */
  readonly port?: number;
  /** The bearer secret that it asks for; without one it takes everybody. */
  readonly secret?: string;
  readonly models?: readonly string[];
  /** What happens to requests by the marker in their prompt, unless `behaveFor` says something else of it. */
  readonly behaviourOf?: (marker: string) => BehaviourInput;
  /** Served before anything else; true if it took the request. */
  readonly intercept?: (request: IncomingMessage, response: ServerResponse) => boolean;
}

/** The same remote control, whether the fake upstream runs in this process or in one of its own. */
export interface FakeUpstream {
  readonly port: number;
  /** Base URL for a deployment or an SDK, ends in /v1. */
  readonly baseUrl: string;
  /** Sets what happens to every later request that nothing else applies to. */
  behave(behaviour: BehaviourInput): Promise<void>;
  /** Sets what happens to the next requests, once each. Comes before `behave`. */
  behaveNext(behaviour: BehaviourInput, times?: number): Promise<void>;
  /** Sets what happens to requests whose prompt holds `marker(name)`. Comes before all others. */
  behaveFor(name: string, behaviour: BehaviourInput): Promise<void>;
  /** Lets everybody go who is held back now; says how many. */
  release(): Promise<number>;
  /** Requests that reached it since the start or the last reset, held back or not. */
  arrivals(): Promise<number>;
  waitForArrivals(count: number, timeoutMs?: number): Promise<void>;
  /** What was delivered so far, in order of arrival; answers under way included. */
  deliveries(): Promise<Delivery[]>;
  /** The last delivery with this marker or x-request-id. */
  deliveryOf(name: string): Promise<Delivery | undefined>;
  /** Forgets behaviours and deliveries and lets everybody go. */
  reset(): Promise<void>;
  stop(): Promise<void>;
}

const DEFAULT_ARRIVALS_TIMEOUT_MS = 10_000;
const BODY_BYTES_MAX = 64 * 1024 * 1024;

/** Starts a fake upstream in this process. */
export async function startFakeUpstream(options: FakeUpstreamOptions = {}): Promise<FakeUpstream> {
  const upstream = new LocalFakeUpstream(options);
  await upstream.listen();
  return upstream;
}

class LocalFakeUpstream implements FakeUpstream {
  private readonly server: Server;
  private readonly gate = new Gate();
  private records: Delivery[] = [];
  private usual: Behaviour = behaviourSchema.parse({});
  private next: Behaviour[] = [];
  private readonly byMarker = new Map<string, Behaviour>();
  private readonly requestsOf = new WeakMap<Socket, number>();

  constructor(private readonly options: FakeUpstreamOptions) {
    this.server = createServer((request, response) => {
      if (options.intercept?.(request, response) === true) return;
      // A client that leaves is recorded; nothing else can be done about it.
      this.serve(request, response).catch(() => response.destroy());
    });
    this.server.keepAliveTimeout = 60_000;
    this.server.requestTimeout = 0;
  }

  async listen(): Promise<void> {
    const { port = 0, host = '127.0.0.1' } = this.options;
    await new Promise<void>((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen(port, host, resolve);
    });
  }

  get port(): number {
    const address = this.server.address();
    if (address === null || typeof address === 'string') throw new Error('the fake upstream does not listen');
    return address.port;
  }

  get baseUrl(): string {
    return `http://127.0.0.1:${this.port}/v1`;
  }

  async behave(behaviour: BehaviourInput): Promise<void> {
    this.usual = behaviourSchema.parse(behaviour);
  }

  async behaveNext(behaviour: BehaviourInput, times = 1): Promise<void> {
    const parsed = behaviourSchema.parse(behaviour);
    for (let count = 0; count < times; count += 1) this.next.push(parsed);
  }

  async behaveFor(name: string, behaviour: BehaviourInput): Promise<void> {
    this.byMarker.set(name, behaviourSchema.parse(behaviour));
  }

  async release(): Promise<number> {
    return this.gate.release();
  }

  async arrivals(): Promise<number> {
    return this.gate.arrivals;
  }

  waitForArrivals(count: number, timeoutMs = DEFAULT_ARRIVALS_TIMEOUT_MS): Promise<void> {
    return this.gate.waitForArrivals(count, timeoutMs);
  }

  async deliveries(): Promise<Delivery[]> {
    return this.records.map((delivery) => ({ ...delivery }));
  }

  async deliveryOf(name: string): Promise<Delivery | undefined> {
    const found = this.records.findLast(
      (delivery) => delivery.marker === name || delivery.requestId === name,
    );
    return found && { ...found };
  }

  async reset(): Promise<void> {
    this.usual = behaviourSchema.parse({});
    this.next = [];
    this.byMarker.clear();
    this.records = [];
    this.gate.reset();
  }

  async stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    this.server.closeAllConnections();
    await closed;
  }

  private async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await readBody(request);
    const path = (request.url ?? '/').split('?', 1)[0] ?? '/';
    if (
      request.headers.authorization !== `Bearer ${this.options.secret}` &&
      this.options.secret !== undefined
    ) {
      sendJson(response, 401, errorBody(401));
    } else if (request.method === 'GET' && path === '/v1/models') {
      sendJson(response, 200, { object: 'list', data: this.models().map(modelObject) });
    } else if (request.method === 'POST' && path === '/v1/chat/completions') {
      await this.serveChat(request, response, body);
    } else if (request.method === 'POST' && path === '/v1/embeddings') {
      await this.serveEmbeddings(request, response, body);
    } else {
      sendJson(response, 404, errorBody(404));
    }
  }

  private async serveChat(request: IncomingMessage, response: ServerResponse, body: string): Promise<void> {
    const parsed = parseJson(body);
    const delivery = this.record(request, { body: parsed, prompt: promptText(parsed) });
    const { behaviour, writer } = await this.open(response, delivery);
    const chat = parseChatRequest(parsed);
    delivery.streamed = chat.streamed;
    const plan = planChat(`chatcmpl-${randomUUID()}`, chat, behaviour);
    await answerChat({ plan, writer, delivery });
  }

  private async serveEmbeddings(
    request: IncomingMessage,
    response: ServerResponse,
    body: string,
  ): Promise<void> {
    const parsed = parseJson(body);
    const embedding = parseEmbeddingRequest(parsed);
    const delivery = this.record(request, { body: parsed, prompt: embedding.inputs.join('\n') });
    await answerEmbeddings(await this.open(response, delivery), embedding);
  }

  /** Counts an arrival, finds its behaviour, and waits while it is held back. */
  private async open(response: ServerResponse, delivery: Delivery): Promise<OpenAnswer> {
    const writer = new RecordedWriter(response, delivery);
    const behaviour = this.behaviourFor(delivery.marker);
    this.gate.arrive();
    if (behaviour.held) await this.gate.wait(writer.signal);
    return { behaviour, writer, delivery };
  }

  private behaviourFor(name: string | null): Behaviour {
    if (name === null) return this.next.shift() ?? this.usual;
    const { behaviourOf } = this.options;
    const marked = this.byMarker.get(name) ?? (behaviourOf && behaviourSchema.parse(behaviourOf(name)));
    return marked ?? this.next.shift() ?? this.usual;
  }

  private record(request: IncomingMessage, received: { body: unknown; prompt: string }): Delivery {
    const requestsOnConnection = (this.requestsOf.get(request.socket) ?? 0) + 1;
    this.requestsOf.set(request.socket, requestsOnConnection);
    const headers = Object.fromEntries(
      Object.entries(request.headers).map(([name, value]) => [name, String(value)]),
    );
    const delivery: Delivery = {
      index: this.records.length,
      path: request.url ?? '/',
      marker: findMarker(received.prompt),
      requestId: headers['x-request-id'] ?? headers['x-client-request-id'] ?? null,
      headers,
      body: received.body,
      clientPort: request.socket.remotePort ?? 0,
      requestsOnConnection,
      arrivedAtMs: Date.now(),
      status: null,
      streamed: false,
      chunks: 0,
      contentBytes: 0,
      bytesHanded: 0,
      bytesDrained: 0,
      waits: 0,
      ended: false,
      clientAborted: false,
      usage: null,
      closedAtMs: null,
    };
    this.records.push(delivery);
    return delivery;
  }

  private models(): readonly string[] {
    return this.options.models ?? ['fake-chat'];
  }
}

async function readBody(request: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of request) {
    if (!Buffer.isBuffer(piece)) continue;
    bytes += piece.length;
    if (bytes > BODY_BYTES_MAX) throw new Error('the body is too large for the fake upstream');
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString('utf8');
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function modelObject(id: string): Record<string, unknown> {
  return { id, object: 'model', created: 1_700_000_000, owned_by: 'fake' };
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}
