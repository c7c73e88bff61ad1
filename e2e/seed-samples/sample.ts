import { execFile, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { inheritedEnvironment } from '@tollgate/runtime';

const run = promisify(execFile);

/** Where samples are sent, and by whom. */
export interface Sender {
  /** `http://host:port` */
  readonly origin: string;
  readonly key: string;
}

/** What came back for the bytes of a request. */
export interface SampleAnswer {
  readonly status: number;
  readonly head: string;
  readonly body: any;
}

/** The text of a sample as it is printed, host and key replaced. */
export function readSample(file: string, { origin, key }: Sender): string {
  return readFileSync(join(__dirname, file), 'utf8')
    .replaceAll('{{base}}', origin)
    .replaceAll('{{host}}', new URL(origin).host)
    .replaceAll('{{key}}', key);
}

/** Sends the bytes of a `.http` file on a connection of their own. Its head has the line ends of an editor, not of HTTP. */
export async function sendBytes(file: string, sender: Sender): Promise<SampleAnswer> {
  const text = readSample(file, sender);
  const headEnd = text.indexOf('\n\n');
  const body = Buffer.from(text.slice(headEnd + 2));
  const head = text.slice(0, headEnd).replaceAll('\n', '\r\n').replace('{{length}}', String(body.length));
  return parseAnswer(await exchange(sender.origin, Buffer.concat([Buffer.from(`${head}\r\n\r\n`), body])));
}

/** Runs a command as a shell does; answers what it printed. */
export async function runInShell(
  command: string,
  variables: Readonly<Record<string, string>>,
): Promise<string> {
  const { stdout } = await run('sh', ['-c', command], {
    env: { ...inheritedEnvironment(), NO_PROXY: '*', no_proxy: '*', ...variables },
    timeout: 30_000,
  }).catch((error: { stdout?: string }) => ({ stdout: error.stdout ?? '' }));
  return stdout;
}

/** Whether the machine has the programs that the printed commands call. */
export function hasCurl(): boolean {
  return spawnSync('sh', ['-c', 'command -v curl && command -v iconv']).status === 0;
}

/** All that comes back until the answer is complete. */
function exchange(origin: string, bytes: Buffer): Promise<string> {
  const { hostname, port } = new URL(origin);
  return new Promise((resolve, reject) => {
    let received = Buffer.alloc(0);
    const socket = connect(Number(port), hostname, () => socket.write(bytes));
    socket.setTimeout(30_000, () => socket.destroy(new Error('no complete answer came')));
    socket.on('data', (piece: Buffer) => {
      received = Buffer.concat([received, piece]);
      if (isComplete(received)) socket.end();
    });
    socket.once('error', reject).once('close', () => resolve(received.toString('utf8')));
  });
}

function isComplete(received: Buffer): boolean {
  const headEnd = received.indexOf('\r\n\r\n');
  if (headEnd === -1) return false;
  const [, length] = /^content-length: *(\d+)/im.exec(received.toString('latin1', 0, headEnd)) ?? [];
  return length !== undefined && received.length >= headEnd + 4 + Number(length);
}

function parseAnswer(text: string): SampleAnswer {
  const headEnd = text.indexOf('\r\n\r\n');
  const head = text.slice(0, headEnd);
  return { status: Number(head.split(' ')[1]), head, body: JSON.parse(text.slice(headEnd + 4)) };
}
