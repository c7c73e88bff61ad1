import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { TcpProxy } from './tcp-proxy.js';

// A server that answers each text with it in brackets, and a proxy before it.

let server: Server;
let proxy: TcpProxy;
let port: number;

beforeEach(async () => {
  server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (bytes) => socket.write(`[${bytes.toString()}]`));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  proxy = new TcpProxy(address.port);
  port = await proxy.listen(0);
});

afterEach(async () => {
  proxy.close();
  await new Promise((resolve) => server.close(resolve));
});

async function open(): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

/** `once` would reject with the reset that is wanted here. */
function closing(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once('close', () => resolve()));
}

async function ask(socket: Socket, text: string): Promise<string> {
  const answer = once(socket, 'data');
  socket.write(text);
  return String((await answer)[0]);
}

describe('the proxy of a run', () => {
  it('passes on what is asked and answered', async () => {
    const socket = await open();
    expect(await ask(socket, 'a')).toBe('[a]');
    expect(await ask(socket, 'b')).toBe('[b]');
    socket.destroy();
  });

  it('keeps the order of late answers, also when it is healed meanwhile', async () => {
    const socket = await open();
    await ask(socket, 'a');
    let answered = '';
    socket.on('data', (bytes) => (answered += bytes.toString()));
    proxy.set({ delayMs: 200 });
    socket.write('b');
    await delay(50);
    proxy.set({});
    socket.write('c');
    await delay(50);
    expect(answered).toBe('');
    await once(socket, 'data');
    await delay(50);
    expect(answered).toBe('[b][c]');
    socket.destroy();
  });

  it('holds everything back, and passes it on when it is healed', async () => {
    const socket = await open();
    await ask(socket, 'a');
    proxy.set({ mode: 'hold' });
    let answered = '';
    socket.on('data', (bytes) => (answered += bytes.toString()));
    socket.write('b');
    await delay(100);
    expect(answered).toBe('');
    proxy.set({});
    await once(socket, 'data');
    expect(answered).toBe('[b]');
    socket.destroy();
  });

  it('resets what is connected and whoever connects', async () => {
    const socket = await open();
    await ask(socket, 'a');
    const closed = closing(socket);
    proxy.set({ mode: 'refuse' });
    await closed;
    const next = connect(port, '127.0.0.1');
    next.on('error', () => undefined);
    await closing(next);
    proxy.set({});
    expect(await ask(await open(), 'b')).toBe('[b]');
  });

  it('cuts in the middle of an answer', async () => {
    const socket = await open();
    await ask(socket, 'a');
    proxy.set({ cutAfterBytes: 2 });
    let answered = '';
    socket.on('data', (bytes) => (answered += bytes.toString()));
    const closed = closing(socket);
    socket.write('long');
    await closed;
    expect('[long]'.startsWith(answered)).toBe(true);
    expect(answered.length).toBeLessThanOrEqual(2);
    expect(proxy.cuts).toBe(1);
  });

  it('lets a question through and cuts its answer off, once', async () => {
    const socket = await open();
    proxy.set({ cutAnswerTo: 'settle' });
    expect(await ask(socket, 'hold')).toBe('[hold]');
    const seen = new Promise((resolve) =>
      server.once('connection', (one: Socket) => one.once('data', (bytes) => resolve(bytes.toString()))),
    );
    const other = await open();
    const closed = closing(other);
    other.write('settle_batch');
    expect(await seen).toBe('settle_batch');
    await closed;
    expect(await ask(await open(), 'settle_batch')).toBe('[settle_batch]');
    socket.destroy();
  });

  it('delays answers', async () => {
    const socket = await open();
    proxy.set({ delayMs: 80 });
    const before = performance.now();
    expect(await ask(socket, 'a')).toBe('[a]');
    // Timers round down to the millisecond.
    expect(performance.now() - before).toBeGreaterThanOrEqual(79);
    socket.destroy();
  });
});
