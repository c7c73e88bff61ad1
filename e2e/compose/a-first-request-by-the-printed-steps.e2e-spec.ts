import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { promisify } from 'node:util';
import { eventually, type FakeUpstream } from '@tollgate/testing';
import { ComposeInstallation } from '../installation/compose-installation.js';

const run = promisify(execFile);

let installation: ComposeInstallation;
let upstream: FakeUpstream;

beforeAll(async () => {
  installation = await ComposeInstallation.join();
  upstream = await installation.startUpstream();
});

afterAll(async () => {
  await installation?.discard();
  await upstream?.stop();
});

/** The commands that `migrate` printed, as they stand there, with what a new user puts in. */
function printedSteps(model: string): { prepare: string; steps: string[] } {
  const [block = ''] = /^ {2}export TOKEN=(?:.|\n)*?\n\n/m.exec(installation.firstRun) ?? [];
  const text = block
    .replaceAll('gpt-4o-mini', model)
    .replaceAll('https://api.openai.com/v1', upstream.baseUrl)
    .replaceAll('<key>', 'upstream-secret');
  const [prepare = '', ...steps] = text.split(/^ {2}(?=post \/)/m);
  return { prepare, steps };
}

/** Runs steps in one shell; answers what each of them printed. */
async function shell(prepare: string, steps: readonly string[]): Promise<any[]> {
  const { stdout } = await run('bash', ['-ec', [prepare, ...steps].join('\n')]);
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
}

describe('a new operator', () => {
  it('sells a model, gives credits and a key, and sees the debit of a first request within two seconds', async () => {
    const model = `gpt-4o-mini-${randomUUID()}`;
    const { prepare, steps } = printedSteps(model);
    expect(steps).toHaveLength(6);
    const [sold, price, deployment, account] = await shell(prepare, steps.slice(0, 4));
    expect(sold).toMatchObject({ id: model });
    expect(price).toMatchObject({ model });
    expect(deployment).toMatchObject({ models: [expect.objectContaining({ model })] });

    const its = steps.slice(4).map((step) => step.replace('<id>', account.id));
    const [topUp, key] = await shell(prepare, its);
    installation.canaries.watch(key.key);
    expect(topUp).toMatchObject({ balance: { available: '5' } });
    await installation.admin().untilSold(model, key.key);

    await upstream.behave({ promptTokens: 100, chunks: 10 });
    const response = await fetch(`${installation.gatewayUrl}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key.key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model, messages: [{ role: 'user', content: 'What is a tollgate?' }] }),
    });
    expect(response.status).toBe(200);
    await eventually(async () => {
      const [debit] = await installation.admin().transfers(account.id);
      // 100 × 0.15 and 10 × 0.6 credits per million tokens.
      expect(debit).toMatchObject({ kind: 'usage', amount: '-0.000021' });
    }, 2_000);
  });
});
