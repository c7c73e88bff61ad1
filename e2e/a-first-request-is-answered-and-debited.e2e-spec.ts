import { execFile } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { promisify } from 'node:util';
import { describeWithRedis, eventually, startRedis, type TestRedis } from '@tollgate/testing';
import { violations } from './installation/ledger-books.js';
import { EmbeddedInstallation } from './installation/embedded-installation.js';

const run = promisify(execFile);

let installation: EmbeddedInstallation;
let redis: TestRedis;

/** The commands that the first run printed: the request, and the look at what it cost. */
function printedCommands(): { ask: string; look: string } {
  const [ask = '', look = ''] = installation.output.match(/^ {2}curl (?:.*\\\n)*.*$/gm) ?? [];
  return { ask, look };
}

async function shell(command: string): Promise<string> {
  const { stdout } = await run('sh', ['-c', command.replace('curl ', 'curl --silent --show-error --fail ')]);
  return stdout;
}

/** Credits at the demo model's rates, 0.5 and 1.5 per million tokens, exactly: one nano-credit is 10^-9. */
function exactCost(usage: { prompt_tokens: number; completion_tokens: number }): string {
  const nano = BigInt(usage.prompt_tokens) * 500n + BigInt(usage.completion_tokens) * 1_500n;
  return `-0.${nano.toString().padStart(9, '0')}`.replace(/0+$/, '');
}

/** What a new user may expect, wherever holds and queue are. */
function expectations(): void {
  it('gets an answer from the printed curl, plain and streamed, and sees each debit within two seconds', async () => {
    const { ask, look } = printedCommands();
    const answer: any = JSON.parse(await shell(ask));
    expect(answer.choices[0].message.content.length).toBeGreaterThan(0);
    await eventually(async () => {
      const { data } = JSON.parse(await shell(look));
      expect(data.map(({ kind, amount }: any) => [kind, amount])).toEqual([
        ['usage', exactCost(answer.usage)],
        ['top_up', '5'],
      ]);
    }, 2_000);

    const wanted = '"stream": true, "stream_options": {"include_usage": true}';
    const stream = await shell(ask.replace('"messages"', `${wanted}, "messages"`));
    expect(stream.endsWith('data: [DONE]\n\n')).toBe(true);
    const chunks = stream.match(/^data: \{.*$/gm)?.map((line) => JSON.parse(line.slice(6))) ?? [];
    await eventually(async () => {
      const { data } = JSON.parse(await shell(look));
      expect(data).toHaveLength(3);
      expect(data[0]).toMatchObject({
        kind: 'usage',
        amount: exactCost(chunks.at(-1).usage),
        seq: expect.anything(),
      });
    }, 2_000);
  });

  it('finds everything again after a stop and a start', async () => {
    const { apiKey } = installation;
    const before: any = await installation.admin().get('/transfers');
    expect(await installation.stop()).toBe(0);

    await installation.resume();
    expect(installation.output).not.toContain('Operator token');
    const admin = installation.admin();
    expect(await admin.get('/transfers')).toEqual(before);
    const response = await fetch(`${installation.gatewayUrl}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'demo-chat', messages: [{ role: 'user', content: 'still there?' }] }),
    });
    expect(response.status).toBe(200);
    await eventually(async () => {
      expect((await admin.get('/transfers')).data).toHaveLength(before.data.length + 1);
    }, 2_000);
    const database = installation.database();
    expect(await violations(database)).toEqual([]);
    await database.end();
  });

  it('is told that it runs already when it is started a second time on the same data', async () => {
    const second = EmbeddedInstallation.start({ dataDir: installation.dataDir });
    await expect(second).rejects.toThrow(/already/i);
  });
}

describe('a new user', () => {
  beforeAll(async () => {
    installation = await EmbeddedInstallation.start();
  });
  afterAll(() => installation?.discard());

  expectations();
});

describeWithRedis('a new user with queue and holds in a Redis', () => {
  beforeAll(async () => {
    redis = await startRedis();
    installation = await EmbeddedInstallation.start({ env: { REDIS_URL: redis.url, HOLD_STORE: 'redis' } });
  });
  afterAll(async () => {
    await installation?.discard();
    await redis?.remove();
  });

  expectations();

  it('has the money of the running account in escrow', async () => {
    const database = installation.database();
    const { rows } = await database.query(
      "SELECT count(*)::int AS escrows FROM tollgate.reservation WHERE kind = 'escrow' AND granted > 0",
    );
    expect(rows[0].escrows).toBeGreaterThan(0);
    await database.end();
  });
});

describe('a start in a place of its own', () => {
  it('leaves nothing running behind', async () => {
    const other = await EmbeddedInstallation.start();
    const pids = (['gateway', 'billing', 'admin'] as const).flatMap((app) => other.pidsOf(app));
    expect(pids).toHaveLength(3);
    expect(await other.stop()).toBe(0);
    for (const pid of pids) expect(() => process.kill(pid, 0)).toThrow(/ESRCH/);
    await rm(other.dataDir, { recursive: true, force: true });
  });
});
