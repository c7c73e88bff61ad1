import { Agent, request, type IncomingMessage } from 'node:http';
import { z } from 'zod';
import { requestIdFromWire, type SentRequest } from './sent-request.js';

const agent = new Agent({ keepAlive: true, maxSockets: 600, maxFreeSockets: 100 });

const usageSchema = z.object({ prompt_tokens: z.number(), completion_tokens: z.number() });
const errorSchema = z.object({ error: z.object({ code: z.string().nullish(), message: z.string() }) });
const chunkSchema = z.object({
  choices: z.array(z.object({ delta: z.object({ content: z.string().nullish() }).optional() })).optional(),
  usage: usageSchema.nullish(),
  error: z.object({ code: z.string().nullish() }).nullish(),
});
const answerSchema = z.object({
  choices: z.array(z.object({ message: z.object({ content: z.string().nullish() }) })),
  usage: usageSchema.nullish(),
});

const SILENCE_MAX_MS = 60_000;

/** What to send, and when the client has had enough of the answer. */
export interface ClientCall {
  readonly origin: string;
  readonly body: string;
  /** Milliseconds after which the client leaves; null: it waits for the end. */
  readonly leavesAfterMs: number | null;
}

/** Sends one request and notes what became of it. Never rejects. */
export function callGateway(sent: SentRequest, { origin, body, leavesAfterMs }: ClientCall): Promise<void> {
  return new Promise((resolve) => {
    let leaving: NodeJS.Timeout | undefined;
    const end = (outcome: SentRequest['outcome']): void => {
      if (sent.endedAtMs !== 0) return;
      clearTimeout(leaving);
      sent.outcome = outcome;
      sent.endedAtMs = Date.now();
      resolve();
    };
    const outgoing = request(
      `${origin}/v1/chat/completions`,
      {
        method: 'POST',
        agent,
        timeout: SILENCE_MAX_MS,
        headers: {
          authorization: `Bearer ${sent.account.apiKey}`,
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(body),
        },
      },
      (answer) => takeAnswer(sent, answer, end),
    );
    outgoing.on('timeout', () => outgoing.destroy(new Error('silence')));
    outgoing.on('error', (error: NodeJS.ErrnoException) => {
      end(error.code === 'ECONNREFUSED' ? 'unreached' : 'broken');
    });
    if (leavesAfterMs !== null) {
      leaving = setTimeout(() => {
        if (sent.endedAtMs === 0) {
          end('left');
          outgoing.destroy();
        }
      }, leavesAfterMs);
    }
    outgoing.end(body);
  });
}

/** Ends the connections that are kept. */
export function closeClients(): void {
  agent.destroy();
}

function takeAnswer(
  sent: SentRequest,
  answer: IncomingMessage,
  end: (outcome: SentRequest['outcome']) => void,
): void {
  const { headers } = answer;
  sent.status = answer.statusCode ?? null;
  sent.requestId = requestIdFromWire(String(headers['x-request-id']));
  const charged = headers['x-credits-charged'];
  sent.chargedCredits = typeof charged === 'string' ? charged : null;
  const isStream = String(headers['content-type']).startsWith('text/event-stream');
  const reader = isStream ? new StreamReading(sent) : new PlainReading(sent);
  answer.setEncoding('utf8');
  answer.on('data', (text: string) => reader.take(text));
  answer.on('error', () => end('broken'));
  answer.on('close', () => end(answer.complete ? reader.outcome() : 'broken'));
}

class PlainReading {
  private text = '';

  constructor(private readonly sent: SentRequest) {}

  take(text: string): void {
    this.text += text;
  }

  outcome(): SentRequest['outcome'] {
    const { sent } = this;
    const json: unknown = JSON.parse(this.text);
    if (sent.status !== 200) {
      sent.errorCode = errorSchema.safeParse(json).data?.error.code ?? `status ${String(sent.status)}`;
      return 'refused';
    }
    const { choices, usage } = answerSchema.parse(json);
    sent.firstContentAtMs = Date.now();
    sent.contentBytes = Buffer.byteLength(choices[0]?.message.content ?? '');
    sent.usage = usage ? { input: usage.prompt_tokens, output: usage.completion_tokens } : null;
    return 'complete';
  }
}

class StreamReading {
  private rest = '';
  private isDone = false;

  constructor(private readonly sent: SentRequest) {}

  take(text: string): void {
    const frames = (this.rest + text).split('\n\n');
    this.rest = frames.pop() ?? '';
    for (const frame of frames) this.takeFrame(frame.replace(/^data: ?/, ''));
  }

  outcome(): SentRequest['outcome'] {
    if (this.sent.errorCode !== null) return 'ended with an error';
    return this.isDone ? 'complete' : 'broken';
  }

  private takeFrame(data: string): void {
    const { sent } = this;
    if (data === '[DONE]') {
      this.isDone = true;
      return;
    }
    const { choices, usage, error } = chunkSchema.parse(JSON.parse(data));
    if (error) sent.errorCode = error.code ?? 'error frame';
    if (usage) sent.usage = { input: usage.prompt_tokens, output: usage.completion_tokens };
    const content = choices?.[0]?.delta?.content ?? '';
    if (content === '') return;
    sent.firstContentAtMs ??= Date.now();
    sent.contentBytes += Buffer.byteLength(content);
  }
}
