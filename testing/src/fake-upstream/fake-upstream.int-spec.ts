import { request as httpRequest, type IncomingMessage } from 'node:http';
import OpenAI from 'openai';
import { answerText } from './chat-frames.js';
import { behaviourSchema } from './behaviour.js';
import { marker } from './delivery.js';
import { embeddingVector } from './embedding-vectors.js';
import { startFakeUpstream, type FakeUpstream } from './fake-upstream.js';
import { spawnFakeUpstream } from './remote-fake-upstream.js';

const says = (content: string) => ({ model: 'fake-chat', messages: [{ role: 'user' as const, content }] });

function openStream(upstream: FakeUpstream, content: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const url = `${upstream.baseUrl}/chat/completions`;
    const headers = { 'content-type': 'application/json', authorization: 'Bearer upstream-secret' };
    const request = httpRequest(url, { method: 'POST', headers }, resolve);
    request.on('error', reject);
    request.end(JSON.stringify({ ...says(content), stream: true }));
  });
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  for (let attempt = 0; attempt < 500; attempt += 1) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error('it did not come to pass within 5 s');
}

const kinds = [
  ['in this process', () => startFakeUpstream({ secret: 'upstream-secret' })],
  ['in a process of its own', () => spawnFakeUpstream({ secret: 'upstream-secret' })],
] as const;

describe.each(kinds)('a fake upstream %s', (_kind, start) => {
  let upstream: FakeUpstream;
  let openai: OpenAI;

  beforeAll(async () => {
    upstream = await start();
    openai = new OpenAI({ baseURL: upstream.baseUrl, apiKey: 'upstream-secret', maxRetries: 0 });
  });
  afterEach(() => upstream.reset());
  afterAll(() => upstream.stop());

  it('answers the official client and records what it delivered', async () => {
    const answer = await openai.chat.completions.create(says(`hello ${marker('plain')}`));
    const delivery = await upstream.deliveryOf('plain');
    expect(answer.choices[0]?.message.content).toBe(answerText(behaviourSchema.parse({}), 5));
    expect(answer.usage).toMatchObject({ prompt_tokens: 5, completion_tokens: 5, total_tokens: 10 });
    expect(delivery).toMatchObject({
      status: 200,
      streamed: false,
      ended: true,
      clientAborted: false,
      chunks: 5,
      contentBytes: 30,
    });
    expect(delivery?.usage).toEqual(answer.usage);
    expect(delivery?.bytesDrained).toBe(delivery?.bytesHanded);
    expect(delivery?.headers.authorization).toBe('Bearer upstream-secret');
  });

  it('answers embeddings and records what it delivered', async () => {
    const input = [marker('vectors'), 'another text'];
    const ask = (encoding_format: 'float' | 'base64') =>
      openai.embeddings.create({ model: 'fake-embedding', input, encoding_format });
    const answer = await ask('float');
    expect(answer.data.map(({ embedding }) => embedding)).toEqual(input.map((text) => embeddingVector(text)));
    const delivery = await upstream.deliveryOf('vectors');
    expect(delivery).toMatchObject({ path: '/v1/embeddings', status: 200, ended: true, chunks: 2 });
    expect(delivery?.usage).toEqual(answer.usage);
    await upstream.behaveNext({ embeddingEncoding: 'as_asked' });
    expect(typeof (await ask('base64')).data[0]?.embedding).toBe('string');
    await upstream.behaveNext({ status: 503 });
    await expect(ask('float')).rejects.toMatchObject({ status: 503 });
  });

  it('streams to the official client within the cap on output tokens', async () => {
    await upstream.behave({ chunks: 8 });
    const stream = await openai.chat.completions.create({
      ...says('hi'),
      max_completion_tokens: 3,
      stream: true,
      stream_options: { include_usage: true },
    });
    const chunks = [];
    for await (const chunk of stream) chunks.push(chunk);
    expect(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join('')).toBe(
      answerText(behaviourSchema.parse({}), 3),
    );
    expect(chunks.at(-2)?.choices[0]?.finish_reason).toBe('length');
    expect(chunks.at(-1)?.usage?.completion_tokens).toBe(3);
    expect((await upstream.deliveries())[0]).toMatchObject({ streamed: true, chunks: 3, ended: true });
  });

  it('lists its models', async () => {
    expect((await openai.models.list()).data.map(({ id }) => id)).toEqual(['fake-chat']);
  });

  it('refuses a wrong secret', async () => {
    const stranger = new OpenAI({ baseURL: upstream.baseUrl, apiKey: 'wrong', maxRetries: 0 });
    await expect(stranger.models.list()).rejects.toMatchObject({ status: 401, code: 'invalid_api_key' });
    expect(await upstream.arrivals()).toBe(0);
  });

  it('holds everybody back until it is told', async () => {
    await upstream.behave({ held: true });
    const waiting = [1, 2, 3].map(() => openai.chat.completions.create(says('hi')));
    await upstream.waitForArrivals(3);
    expect((await upstream.deliveries()).map(({ status }) => status)).toEqual([null, null, null]);
    expect(await upstream.release()).toBe(3);
    await expect(Promise.all(waiting)).resolves.toHaveLength(3);
  });

  it('says how many came when it waited in vain', async () => {
    await expect(upstream.waitForArrivals(2, 20)).rejects.toThrow(
      '0 of 2 requests reached the fake upstream within 20 ms',
    );
  });

  it('treats requests by their marker, then in turn, then as usual', async () => {
    await upstream.behaveNext({ status: 500 });
    await upstream.behaveFor('special', { status: 429, headers: { 'retry-after': '7' } });
    const special = openai.chat.completions.create(says(marker('special')));
    await expect(special).rejects.toMatchObject({ status: 429, code: 'rate_limit_exceeded' });
    await expect(openai.chat.completions.create(says('hi'))).rejects.toMatchObject({ status: 500 });
    await expect(openai.chat.completions.create(says('hi'))).resolves.toBeDefined();
  });

  it('stops writing when the reader stops, and notices when it leaves', async () => {
    await upstream.behave({ fault: 'endless', chunkBytes: 16_384 });
    const response = await openStream(upstream, marker('slow'));
    response.pause();
    await until(async () => ((await upstream.deliveryOf('slow'))?.waits ?? 0) > 0);
    await new Promise((resolve) => setTimeout(resolve, 200));
    const stuck = await upstream.deliveryOf('slow');
    expect(stuck?.bytesHanded).toBeLessThan(16 * 1024 * 1024);
    expect(stuck?.bytesDrained).toBeLessThan(stuck?.bytesHanded ?? 0);
    response.destroy();
    await until(async () => (await upstream.deliveryOf('slow'))?.clientAborted === true);
    expect(await upstream.deliveryOf('slow')).toMatchObject({ ended: false });
  });

  it.each(['reset_before_head', 'reset_after_head', 'reset_mid_stream'] as const)(
    'breaks the connection: %s',
    async (fault) => {
      await upstream.behave({ fault });
      const read = async (): Promise<string> => {
        let text = '';
        for await (const piece of await openStream(upstream, marker(fault))) text += String(piece);
        return text;
      };
      await expect(read()).rejects.toMatchObject({ code: 'ECONNRESET' });
      expect(await upstream.deliveryOf(fault)).toMatchObject({ ended: false, clientAborted: false });
    },
  );

  it('ends a stream early with and without a word', async () => {
    const text = async (): Promise<string> => {
      let all = '';
      for await (const piece of await openStream(upstream, 'hi')) all += String(piece);
      return all;
    };
    await upstream.behave({ fault: 'end_mid_stream' });
    expect(await text()).not.toMatch(/finish_reason":"|\[DONE\]/);
    await upstream.behave({ fault: 'error_frame' });
    expect(await text()).toMatch(/data: \{"error".*\n\ndata: \[DONE\]\n\n$/);
    await upstream.behave({ fault: 'broken_json' });
    expect(await text()).toContain('{"con\n\n');
  });
});
