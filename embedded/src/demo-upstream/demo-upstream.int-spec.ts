import type { Server } from 'node:http';
import OpenAI from 'openai';
import { startDemoUpstream } from './demo-upstream.js';

describe('the demo upstream', () => {
  let server: Server;
  let baseURL: string;
  let openai: OpenAI;

  beforeAll(async () => {
    server = await startDemoUpstream({ host: '127.0.0.1', port: 0, pieceDelayMs: 0 });
    const address = server.address();
    baseURL = `http://127.0.0.1:${address !== null && typeof address === 'object' ? address.port : 0}/v1`;
    openai = new OpenAI({ baseURL, apiKey: 'any', maxRetries: 0 });
  });
  afterAll(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  const post = (body: string): Promise<Response> =>
    fetch(`${baseURL}/chat/completions`, { method: 'POST', body });

  it('answers the official client, plain and streamed, with the same text and usage', async () => {
    const messages = [{ role: 'user' as const, content: 'What is a toll? 你好' }];
    const plain = await openai.chat.completions.create({ model: 'demo-chat', messages });
    const stream = openai.chat.completions.stream({
      model: 'demo-chat',
      messages,
      stream_options: { include_usage: true },
    });
    const streamed = await stream.finalChatCompletion();
    expect(plain.choices[0]?.message.content).toContain('What is a toll? 你好');
    expect(streamed.choices[0]?.message.content).toBe(plain.choices[0]?.message.content);
    expect(streamed.usage).toEqual(plain.usage);
    expect(plain.usage?.total_tokens).toBe(
      (plain.usage?.prompt_tokens ?? 0) + (plain.usage?.completion_tokens ?? 0),
    );
  });

  it('lists its model and finds it', async () => {
    expect((await openai.models.list()).data.map(({ id }) => id)).toEqual(['demo-chat']);
    expect((await openai.models.retrieve('demo-chat')).owned_by).toBe('tollgate-demo');
    await expect(openai.models.retrieve('gpt-9')).rejects.toMatchObject({
      status: 404,
      code: 'model_not_found',
    });
  });

  it.each([
    [
      'another model',
      () => post('{"model":"gpt-9","messages":[{"role":"user","content":"hi"}]}'),
      404,
      'model_not_found',
    ],
    ['broken JSON', () => post('{"model":'), 400, null],
    ['no messages', () => post('{"model":"demo-chat"}'), 400, 'missing_required_parameter'],
    ['a body that is too large', () => post(`{"model":"${'x'.repeat(300_000)}"}`), 413, 'request_too_large'],
    ['an unknown path', () => fetch(`${baseURL}/nothing`), 404, 'unknown_url'],
  ])('refuses %s in the envelope of OpenAI', async (_case, ask, status, code) => {
    const response = await ask();
    expect(response.status).toBe(status);
    expect(await response.json()).toEqual({
      error: {
        message: expect.any(String),
        type: 'invalid_request_error',
        param: code === 'missing_required_parameter' ? 'messages' : null,
        code,
      },
    });
  });

  it('takes any credential, and none: whoever wants another deployment on it has no secret to look for', async () => {
    for (const headers of [undefined, { authorization: 'Bearer whatever' }]) {
      expect((await fetch(`${baseURL}/models`, { headers })).status).toBe(200);
    }
  });

  it('tells its health to everybody', async () => {
    expect((await fetch(new URL('/health/ready', baseURL))).status).toBe(200);
  });
});
