import { execFileSync } from 'node:child_process';
import { request, type IncomingMessage } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { marker, type FakeUpstream } from '@tollgate/testing';
import { RunningInstallation } from './installation/running-installation.js';

const MODEL = 'flood-chat';
const CHUNKS = 10_000;
const CHUNK_BYTES = 16 * 1024;
const SLEEP_MS = 20_000;
const MIB = 1024 * 1024;

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

/** Resident memory of the gateways in bytes. */
function residentBytes(): number {
  const pids = installation.pidsOf('gateway');
  const kibibytes = execFileSync('ps', ['-o', 'rss=', '-p', pids.join(',')], { encoding: 'utf8' });
  return kibibytes.split('\n').reduce((sum, line) => sum + Number(line) * 1024, 0);
}

describe('an answer of 160 MiB to a client that sleeps for twenty seconds', () => {
  it('waits at the upstream, not in the gateway, and arrives whole and once', async () => {
    const { apiKey } = await installation.admin().openAccount('1000');
    await warmUp(apiKey);
    await upstream.behave({ chunks: CHUNKS, chunkBytes: CHUNK_BYTES });
    const memoryBefore = residentBytes();

    const response = await open(apiKey, marker('flood'));
    response.pause();
    let peak = memoryBefore;
    let handedMax = 0;
    for (const endMs = Date.now() + SLEEP_MS; Date.now() < endMs; await delay(500)) {
      peak = Math.max(peak, residentBytes());
      handedMax = Math.max(handedMax, (await upstream.deliveryOf('flood'))?.bytesHanded ?? 0);
    }
    expect(handedMax).toBeGreaterThan(0);
    // Each hop has the kernel's buffers at both of its ends, and a proxy adds hops: its own, and that of a published port.
    expect(handedMax).toBeLessThan((installation.isProxied ? 64 : 16) * MIB);

    const contents = await readContents(response, () => {
      peak = Math.max(peak, residentBytes());
    });
    expect(peak - memoryBefore).toBeLessThan(48 * MIB);
    expect(contents).toEqual({ chunks: CHUNKS, bytes: CHUNKS * CHUNK_BYTES, ended: true });
    expect(await upstream.deliveryOf('flood')).toMatchObject({
      ended: true,
      clientAborted: false,
      chunks: CHUNKS,
      contentBytes: CHUNKS * CHUNK_BYTES,
    });
  });
});

/** A process that has just started grows whatever it serves first. */
async function warmUp(apiKey: string): Promise<void> {
  await upstream.behave({ chunks: 500, chunkBytes: CHUNK_BYTES });
  for (let round = 0; round < 3; round += 1) await readContents(await open(apiKey, 'warm'), () => undefined);
}

function open(apiKey: string, text: string): Promise<IncomingMessage> {
  const body = JSON.stringify({ model: MODEL, stream: true, messages: [{ role: 'user', content: text }] });
  return new Promise((resolve, reject) => {
    const call = request(`${installation.gatewayUrl}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' },
    });
    call.once('response', resolve).once('error', reject).end(body);
  });
}

async function readContents(
  response: IncomingMessage,
  sample: () => void,
): Promise<{ chunks: number; bytes: number; ended: boolean }> {
  const contents = { chunks: 0, bytes: 0, ended: false };
  let rest = '';
  let events = 0;
  response.setEncoding('utf8');
  for await (const text of response) {
    const parts = (rest + String(text)).split('\n\n');
    rest = parts.pop() ?? '';
    for (const event of parts) {
      if (event === 'data: [DONE]') contents.ended = true;
      else count(JSON.parse(event.slice(6)), contents);
      if ((events += 1) % 500 === 0) sample();
    }
  }
  return contents;
}

function count(chunk: any, contents: { chunks: number; bytes: number }): void {
  const content: string = chunk.choices?.[0]?.delta?.content ?? '';
  if (content === '') return;
  contents.chunks += 1;
  contents.bytes += Buffer.byteLength(content);
}
