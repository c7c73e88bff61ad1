import { eventually, type FakeUpstream } from '@tollgate/testing';
import { RunningInstallation } from './installation/running-installation.js';

const MODEL = 'slow-chat';

let installation: RunningInstallation;
let upstream: FakeUpstream;

beforeAll(async () => {
  installation = await RunningInstallation.start();
  upstream = await installation.startUpstream();
  await installation.admin().sellModel(MODEL, upstream);
});

afterAll(async () => {
  await installation?.discard();
  await upstream?.stop();
});

describe('a stop while answers are streamed', () => {
  it('lets them finish, bills them, and stops with a clean exit', async () => {
    const { accountId, apiKey } = await installation.admin().openAccount('5');
    await upstream.behave({ chunks: 40, chunkDelayMs: 100, promptTokens: 5 });
    const response = await fetch(`${installation.gatewayUrl}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model: MODEL, stream: true, messages: [{ role: 'user', content: 'slowly' }] }),
    });
    const text = response.text();
    const stopped = installation.stop();
    expect((await text).endsWith('data: [DONE]\n\n')).toBe(true);
    expect(await stopped).toBe(0);

    await installation.resume();
    const admin = installation.admin();
    await eventually(async () => {
      expect(await admin.balance(accountId)).toMatchObject({ held: '0' });
      expect(await admin.usage(accountId)).toEqual([
        expect.objectContaining({ outcome: 'completed', units: { input: 5, output: 40 }, cost: '0.000085' }),
      ]);
    });
  });
});
