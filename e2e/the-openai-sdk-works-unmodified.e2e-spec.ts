import { marker, type FakeUpstream } from '@tollgate/testing';
import OpenAI from 'openai';
import { eventually } from '@tollgate/testing';
import { RunningInstallation } from './installation/running-installation.js';

const MODEL = 'sdk-chat';
const OTHER_MODEL = 'sdk-chat-mini';

let installation: RunningInstallation;
let upstream: FakeUpstream;
let client: OpenAI;
let poor: OpenAI;

beforeAll(async () => {
  installation = await RunningInstallation.start();
  upstream = await installation.startUpstream();
  const admin = installation.admin();
  for (const model of [MODEL, OTHER_MODEL]) await admin.sellModel(model, upstream);
  const rich = await admin.openAccount('5');
  client = sdk(rich.apiKey);
  poor = sdk((await admin.openAccount('0')).apiKey);
});

afterAll(async () => {
  await installation?.discard();
  await upstream?.stop();
});

beforeEach(() => upstream.reset());

function sdk(apiKey: string): OpenAI {
  return new OpenAI({ apiKey, baseURL: `${installation.gatewayUrl}/v1` });
}

const messages = (text = 'hello'): { role: 'user'; content: string }[] => [{ role: 'user', content: text }];

describe('the official openai package', () => {
  it('gets a chat answer with its request id', async () => {
    await upstream.behave({ chunks: 3, promptTokens: 4 });
    const answer = await client.chat.completions.create({ model: MODEL, messages: messages() });
    expect(answer.choices[0]?.message.content).toHaveLength(18);
    expect(answer.usage).toMatchObject({ prompt_tokens: 4, completion_tokens: 3, total_tokens: 7 });
    expect(answer._request_id).toMatch(/^req_[0-9a-f]{32}$/);
  });

  it('iterates a stream', async () => {
    await upstream.behave({ chunks: 12 });
    const stream = await client.chat.completions.create({ model: MODEL, messages: messages(), stream: true });
    let text = '';
    let finish: string | null = null;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? '';
      finish = chunk.choices[0]?.finish_reason ?? finish;
    }
    expect(text).toHaveLength(72);
    expect(finish).toBe('stop');
  });

  it('collects a stream with the .stream() helper', async () => {
    await upstream.behave({ chunks: 6, promptTokens: 2 });
    const runner = client.chat.completions.stream({
      model: MODEL,
      messages: messages(),
      stream_options: { include_usage: true },
    });
    const pieces: string[] = [];
    runner.on('content', (piece) => pieces.push(piece));
    const final = await runner.finalChatCompletion();
    expect(final.choices[0]?.message.content).toBe(pieces.join(''));
    expect(final.usage).toMatchObject({ prompt_tokens: 2, completion_tokens: 6 });
  });

  it('aborts by break, and the upstream is cancelled', async () => {
    await upstream.behave({ fault: 'endless', chunkDelayMs: 5 });
    const text = messages(marker('break'));
    const stream = await client.chat.completions.create({ model: MODEL, messages: text, stream: true });
    let seen = 0;
    for await (const chunk of stream) {
      if (chunk.choices.length > 0) seen += 1;
      if (seen === 5) break;
    }
    await eventually(async () => {
      expect(await upstream.deliveryOf('break')).toMatchObject({ clientAborted: true, ended: false });
    }, 30_000);
  });

  it('lists models and reads one', async () => {
    const ids: string[] = [];
    for await (const model of client.models.list()) ids.push(model.id);
    expect(ids).toEqual(expect.arrayContaining([MODEL, OTHER_MODEL]));
    expect(await client.models.retrieve(MODEL)).toMatchObject({ id: MODEL, object: 'model' });
  });

  it.each([
    ['a wrong key', () => sdk('sk-wrong').models.list(), OpenAI.AuthenticationError, 401, 'invalid_api_key'],
    ['an unknown model', () => ask(client, 'nope'), OpenAI.NotFoundError, 404, 'model_not_found'],
    [
      'an unknown model to read',
      () => client.models.retrieve('nope'),
      OpenAI.NotFoundError,
      404,
      'model_not_found',
    ],
    [
      'a missing parameter',
      () => client.chat.completions.create({ model: MODEL } as never),
      OpenAI.BadRequestError,
      400,
      'missing_required_parameter',
    ],
    ['an empty balance', () => ask(poor, MODEL), OpenAI.RateLimitError, 429, 'insufficient_quota'],
  ])('throws its own class for %s', async (_what, call, kind, status, code) => {
    const error = await rejectionOf(call);
    expect(error).toBeInstanceOf(kind);
    expect(error).toMatchObject({ status, code, requestID: expect.stringMatching(/^req_/) });
  });

  it('does not try again where that is hopeless, and does where it is not', async () => {
    await upstream.behave({ status: 401 });
    expect(await rejectionOf(() => ask(client, MODEL))).toMatchObject({
      status: 502,
      code: 'upstream_error',
    });
    expect(await upstream.arrivals()).toBe(1);
    await upstream.reset();
    await upstream.behave({ status: 500 });
    expect(await rejectionOf(() => ask(client, MODEL))).toBeInstanceOf(OpenAI.InternalServerError);
    expect(await upstream.arrivals()).toBe(3);
  });

  it('throws when the upstream fails while it answers', async () => {
    await upstream.behave({ fault: 'reset_mid_stream', faultAfterChunks: 3, chunkDelayMs: 2 });
    const stream = await client.chat.completions.create({ model: MODEL, messages: messages(), stream: true });
    const error = await rejectionOf(async () => {
      for await (const chunk of stream) expect(chunk.object).toBe('chat.completion.chunk');
    });
    expect(error).toBeInstanceOf(OpenAI.APIError);
    expect(error).toMatchObject({ code: 'upstream_error' });
  });
});

function ask(asker: OpenAI, model: string): Promise<unknown> {
  return asker.chat.completions.create({ model, messages: messages() });
}

async function rejectionOf(call: () => PromiseLike<unknown>): Promise<unknown> {
  try {
    await call();
  } catch (error) {
    return error;
  }
  throw new Error('it was not refused');
}
