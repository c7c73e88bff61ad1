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
function printedSteps(model: string): string {
  const [block = ''] = /^ {2}export TOKEN=(?:.|\n)*?\n\n/m.exec(installation.firstRun) ?? [];
  return block
    .replaceAll('gpt-4o-mini', model)
    .replace('https://api.openai.com/v1', upstream.baseUrl)
    .replace('sk-…', 'upstream-secret');
}

/** Pastes the steps into one shell; answers each line that they printed. */
async function paste(steps: string): Promise<string[]> {
  const { stdout } = await run('bash', ['-ec', steps]);
  return stdout.trim().split('\n');
}

describe('a new operator', () => {
  it('sells a model, gives credits and a key, and sees the debit of a first request within two seconds', async () => {
    const model = `gpt-4o-mini-${randomUUID()}`;
    await upstream.behave({ promptTokens: 100, chunks: 10 });
    const [sold, price, deployment, topUp, made, completion, ...rest] = await paste(printedSteps(model));
    const [, accountId = '', key = ''] = /^account (\S+) has the API key (sk-\w+) /.exec(made ?? '') ?? [];
    installation.canaries.watch(key);
    expect(rest).toEqual([]);
    expect(JSON.parse(sold ?? '')).toMatchObject({ id: model });
    expect(JSON.parse(price ?? '')).toMatchObject({ model });
    expect(JSON.parse(deployment ?? '')).toMatchObject({ models: [expect.objectContaining({ model })] });
    expect(JSON.parse(topUp ?? '')).toMatchObject({ balance: { available: '5' } });
    expect(JSON.parse(completion ?? '')).toMatchObject({ object: 'chat.completion', model });
    await eventually(async () => {
      const [debit] = await installation.admin().transfers(accountId);
      // 100 × 0.15 and 10 × 0.6 credits per million tokens.
      expect(debit).toMatchObject({ kind: 'usage', amount: '-0.000021' });
    }, 2_000);
  });
});
