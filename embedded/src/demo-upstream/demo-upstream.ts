import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { isJsonObject, parseChatRequest, type ChatRequest, type JsonObject } from '@tollgate/openai';
import { answerPrompt } from './answer.js';
import { DEMO_CONTEXT_TOKENS, DEMO_MODEL } from './demo-model.js';
import { completionBody, completionFrames, type Completion } from './completion.js';
import { countPromptTokens, lastUserText } from './prompt.js';
import { RequestError, toRequestError } from './request-error.js';

const BODY_BYTES_MAX = 256 * 1024;
const CHOICES_MAX = 8;
const CONNECTIONS_MAX = 2_000;
const MODEL_CREATED_S = 1_790_000_000;

/** How a demo upstream is run. */
export interface DemoUpstreamOptions {
  readonly host: string;
  /** 0 takes a free port. */
  readonly port: number;
  /** Pause between two pieces of a stream. */
  readonly pieceDelayMs: number;
}

/**
 * Starts a small OpenAI-type server whose only model answers from the prompt. It takes any credential, and none: it has
 * nothing to protect, and is reached from this machine alone.
 */
export async function startDemoUpstream(options: DemoUpstreamOptions): Promise<Server> {
  const server = createServer((request, response) => void serve(options, request, response));
  server.maxConnections = CONNECTIONS_MAX;
  server.keepAliveTimeout = 65_000;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, resolve);
  });
  return server;
}

async function serve(
  options: DemoUpstreamOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  response.setHeader('x-request-id', `req_${randomUUID().replaceAll('-', '')}`);
  response.on('error', () => undefined);
  try {
    await route(options, request, response);
  } catch (error) {
    if (response.headersSent || response.destroyed) {
      response.destroy();
      return;
    }
    const refusal = toRequestError(error);
    // What is left of a body that was refused need not be read.
    if (!request.complete) response.setHeader('connection', 'close');
    sendJson(response, refusal.status, refusal.body);
  }
}

async function route(
  options: DemoUpstreamOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const path = (request.url ?? '/').split('?', 1)[0] ?? '/';
  const call = `${request.method} ${path}`;
  if (path.startsWith('/health/')) return sendJson(response, 200, { status: 'ok' });
  if (call === 'GET /v1/models') return sendJson(response, 200, { object: 'list', data: [modelObject()] });
  if (call === `GET /v1/models/${DEMO_MODEL}`) return sendJson(response, 200, modelObject());
  if (path.startsWith('/v1/models/')) throw unknownModel(path.slice('/v1/models/'.length));
  if (call === 'POST /v1/chat/completions') return complete(options, request, response);
  throw new RequestError({ status: 404, message: `Invalid URL (${call})`, code: 'unknown_url' });
}

async function complete(
  options: DemoUpstreamOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const chat = parseChatRequest(await readJson(request));
  if (chat.model !== DEMO_MODEL) throw unknownModel(chat.model);
  if (chat.choices > CHOICES_MAX) {
    throw new RequestError({
      status: 400,
      message: `The demo model gives at most ${CHOICES_MAX} choices.`,
      param: 'n',
      code: 'invalid_value',
    });
  }
  const completion = makeCompletion(chat);
  if (!chat.stream) return sendJson(response, 200, completionBody(completion));
  await stream(response, completionFrames(completion), options.pieceDelayMs);
}

function makeCompletion(request: ChatRequest): Completion {
  const { outputTokensCap, body } = request;
  const promptTokens = countPromptTokens(request);
  if (promptTokens > DEMO_CONTEXT_TOKENS) throw contextExceeded(promptTokens);
  return {
    id: `chatcmpl-${randomUUID().replaceAll('-', '')}`,
    createdS: Math.floor(Date.now() / 1000),
    request,
    promptTokens,
    answer: answerPrompt({ prompt: lastUserText(request), outputTokensCap, stops: readStops(body.stop) }),
  };
}

/** Writes frames no faster than they are read; stops when the client leaves. */
async function stream(
  response: ServerResponse,
  frames: Iterable<string>,
  pieceDelayMs: number,
): Promise<void> {
  const left = new AbortController();
  response.once('close', () => left.abort());
  response.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-cache, no-transform',
    'x-accel-buffering': 'no',
  });
  try {
    for (const frame of frames) {
      if (!response.write(frame)) await once(response, 'drain', { signal: left.signal });
      if (pieceDelayMs > 0) await delay(pieceDelayMs, undefined, { signal: left.signal });
      left.signal.throwIfAborted();
    }
    response.end();
  } catch (error) {
    if (!left.signal.aborted) throw error;
  }
}

async function readJson(request: IncomingMessage): Promise<JsonObject> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of request) {
    if (!Buffer.isBuffer(piece)) continue;
    bytes += piece.length;
    if (bytes > BODY_BYTES_MAX) {
      throw new RequestError({
        status: 413,
        message: `The demo model takes requests of at most ${BODY_BYTES_MAX} bytes.`,
        code: 'request_too_large',
      });
    }
    pieces.push(piece);
  }
  const body = parse(Buffer.concat(pieces).toString('utf8'));
  if (isJsonObject(body)) return body;
  throw new RequestError({ status: 400, message: 'We could not parse the JSON body of your request.' });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function readStops(stop: unknown): string[] {
  const stops: unknown[] = Array.isArray(stop) ? stop : [stop];
  return stops.filter((word) => typeof word === 'string');
}

function contextExceeded(promptTokens: number): RequestError {
  return new RequestError({
    status: 400,
    message:
      `This model's maximum context length is ${DEMO_CONTEXT_TOKENS} tokens. However, your messages resulted in ` +
      `${promptTokens} tokens. Please reduce the length of the messages.`,
    param: 'messages',
    code: 'context_length_exceeded',
  });
}

function unknownModel(model: string): RequestError {
  return new RequestError({
    status: 404,
    message: `The model \`${model}\` does not exist or you do not have access to it.`,
    code: 'model_not_found',
  });
}

function modelObject(): unknown {
  return { id: DEMO_MODEL, object: 'model', created: MODEL_CREATED_S, owned_by: 'tollgate-demo' };
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  const text = JSON.stringify(body);
  response
    .writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) })
    .end(text);
}
