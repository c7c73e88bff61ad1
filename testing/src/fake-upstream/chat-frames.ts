import type { Behaviour, Quirk } from './behaviour.js';

/** The parts of a chat request that the fake upstream obeys. */
export interface ChatRequest {
  readonly model: string;
  readonly streamed: boolean;
  readonly includeUsage: boolean;
  readonly outputTokensMax: number;
  readonly promptBytes: number;
}

/** What one answer consists of, decided before its first byte. */
export interface ChatPlan {
  readonly id: string;
  readonly createdS: number;
  readonly request: ChatRequest;
  readonly behaviour: Behaviour;
  readonly chunks: number;
  readonly finishReason: string;
}

/** Plans an answer within the client's cap on output tokens. */
export function planChat(id: string, request: ChatRequest, behaviour: Behaviour): ChatPlan {
  const chunksMax = Math.floor(request.outputTokensMax / behaviour.tokensPerChunk);
  const chunks =
    behaviour.fault === 'endless' ? Number.POSITIVE_INFINITY : Math.min(behaviour.chunks, chunksMax);
  const cut = behaviour.chunks > chunksMax;
  return {
    id,
    createdS: Math.floor(Date.now() / 1000),
    request,
    behaviour,
    chunks,
    finishReason: cut ? 'length' : behaviour.finishReason,
  };
}

/** The text of a chunk: its number and filling, exactly `chunkBytes` bytes, so that each chunk can be told apart. */
export function chunkText(behaviour: Behaviour, index: number): string {
  const label = `${index} `;
  const rest = behaviour.chunkBytes - label.length;
  return rest >= 0
    ? label + filling(behaviour, rest, index)
    : filling(behaviour, behaviour.chunkBytes, index);
}

/** The whole text of an answer with so many chunks, to compare with what a client received. */
export function answerText(behaviour: Behaviour, chunks: number): string {
  return Array.from({ length: chunks }, (_, index) => chunkText(behaviour, index)).join('');
}

const fillings = new WeakMap<Behaviour, Map<string, string>>();

/** The alphabet from some letter on, repeated; a dot where a letter of several bytes does not fit. */
function filling(behaviour: Behaviour, bytes: number, offset: number): string {
  const letters = [...behaviour.alphabet];
  const start = offset % letters.length;
  let made = fillings.get(behaviour);
  if (made === undefined) fillings.set(behaviour, (made = new Map()));
  const key = `${bytes}:${start}`;
  let text = made.get(key);
  if (text !== undefined) return text;
  text = '';
  for (let position = start, left = bytes; left > 0; position += 1) {
    const letter = letters[position % letters.length] ?? '.';
    const size = Buffer.byteLength(letter);
    text += size <= left ? letter : '.';
    left -= size <= left ? size : 1;
  }
  made.set(key, text);
  return text;
}

/** The usage to report for so many delivered chunks, or null for none. */
export function usageOf(plan: ChatPlan, deliveredChunks: number): unknown {
  const { behaviour, request } = plan;
  if (behaviour.usage === 'none') return null;
  if (behaviour.usage !== 'exact') return behaviour.usage;
  const prompt = behaviour.promptTokens ?? Math.max(1, Math.ceil(request.promptBytes / 4));
  const completion = deliveredChunks * behaviour.tokensPerChunk;
  return {
    prompt_tokens: prompt,
    completion_tokens: completion,
    total_tokens: prompt + completion,
    prompt_tokens_details: { cached_tokens: 0, audio_tokens: 0 },
    completion_tokens_details: { reasoning_tokens: 0, audio_tokens: 0 },
  };
}

/** The body of an answer that is not streamed. */
export function completionBody(plan: ChatPlan): Record<string, unknown> {
  const { behaviour } = plan;
  const usage = usageOf(plan, plan.chunks);
  return {
    id: plan.id,
    object: 'chat.completion',
    created: plan.createdS,
    model: plan.request.model,
    choices: [
      {
        index: 0,
        message: {
          role: 'assistant',
          content: answerText(behaviour, plan.chunks),
          refusal: null,
          annotations: [],
        },
        logprobs: null,
        ...(behaviour.fault === 'no_finish_reason' ? {} : { finish_reason: plan.finishReason }),
      },
    ],
    ...(usage === null ? {} : { usage }),
    service_tier: 'default',
    system_fingerprint: 'fp_fake',
    ...(has(plan, 'vendor_keys') ? { vendor_note: 'not of OpenAI' } : {}),
  };
}

/** The frame that opens a stream: the role, or Azure's chunk without choices before it. */
export function openingFrames(plan: ChatPlan): string {
  const role = frame(plan, [choice({ role: 'assistant', content: '', refusal: null }, null)], { chunks: 0 });
  if (!has(plan, 'azure_first_chunk')) return role;
  const filter = {
    choices: [],
    created: 0,
    id: '',
    model: '',
    object: '',
    prompt_filter_results: [{ prompt_index: 0 }],
  };
  return line(plan, filter) + role;
}

/** One piece of content. */
export function contentFrame(plan: ChatPlan, index: number): string {
  const content = chunkText(plan.behaviour, index);
  const key = has(plan, 'reasoning_content') && index === 0 ? 'reasoning_content' : 'content';
  const delta = has(plan, 'empty_role') ? { role: '', [key]: content } : { [key]: content };
  return (
    (has(plan, 'comments') ? ': PROCESSING\n\n' : '') +
    frame(plan, [choice(delta, null)], { chunks: index + 1 })
  );
}

/** Everything after the content: finish_reason, usage, [DONE], as far as the behaviour has them. */
export function closingFrames(plan: ChatPlan, deliveredChunks: number): string {
  const { behaviour, request } = plan;
  const usage = usageOf(plan, deliveredChunks);
  let frames = '';
  if (behaviour.fault !== 'no_finish_reason') {
    const last = choice({}, plan.finishReason);
    const usageInChoice = has(plan, 'usage_in_choice') && usage !== null ? { usage } : {};
    frames += frame(plan, [{ ...last, ...usageInChoice }], { chunks: deliveredChunks, last: true });
  }
  const placedElsewhere = has(plan, 'usage_in_last_chunk') || has(plan, 'usage_in_choice');
  if (request.includeUsage && usage !== null && !placedElsewhere) {
    frames += line(plan, { ...head(plan), choices: [], usage });
  }
  if (behaviour.fault !== 'no_done') frames += `data: [DONE]${newline(plan)}${newline(plan)}`;
  return frames;
}

/** An error in the middle of a stream that answered 200. */
export function errorFrame(plan: ChatPlan): string {
  const error = {
    message: 'The server had an error while processing your request.',
    type: 'server_error',
    param: null,
    code: null,
  };
  return `${line(plan, { error })}data: [DONE]${newline(plan)}${newline(plan)}`;
}

/** OpenAI's error envelope for a status. */
export function errorBody(status: number): unknown {
  const types: Record<number, [type: string, code: string | null]> = {
    400: ['invalid_request_error', null],
    401: ['invalid_request_error', 'invalid_api_key'],
    402: ['insufficient_quota', 'insufficient_quota'],
    404: ['invalid_request_error', 'model_not_found'],
    429: ['requests', 'rate_limit_exceeded'],
  };
  const [type, code] = types[status] ?? ['server_error', null];
  return { error: { message: `Fake upstream error ${status}.`, type, param: null, code } };
}

function head(plan: ChatPlan): Record<string, unknown> {
  return {
    id: plan.id,
    object: 'chat.completion.chunk',
    created: plan.createdS,
    model: plan.request.model,
    service_tier: 'default',
    system_fingerprint: 'fp_fake',
    ...(has(plan, 'vendor_keys') ? { vendor_note: 'not of OpenAI' } : {}),
    ...(has(plan, 'error_null') ? { error: null } : {}),
  };
}

function choice(delta: Record<string, unknown>, finishReason: string | null): Record<string, unknown> {
  return { index: 0, delta, logprobs: null, finish_reason: finishReason };
}

/** A chunk; the usage so far is on it where the behaviour puts one there. */
function frame(plan: ChatPlan, choices: unknown[], placed: { chunks: number; last?: boolean }): string {
  const onLast = placed.last === true && has(plan, 'usage_in_last_chunk');
  const usage = onLast || has(plan, 'usage_in_every_chunk') ? usageOf(plan, placed.chunks) : null;
  const withUsage = usage !== null || plan.request.includeUsage ? { usage } : {};
  return line(plan, { ...head(plan), choices, ...withUsage });
}

function line(plan: ChatPlan, value: unknown): string {
  const blank = has(plan, 'no_blank_after_data') ? '' : ' ';
  return `data:${blank}${JSON.stringify(value)}${newline(plan)}${newline(plan)}`;
}

function newline(plan: ChatPlan): string {
  return has(plan, 'crlf') ? '\r\n' : '\n';
}

function has(plan: ChatPlan, quirk: Quirk): boolean {
  return plan.behaviour.quirks.includes(quirk);
}
