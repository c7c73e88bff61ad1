import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError } from '@tollgate/runtime';
import { findFreePort } from '../postgres/free-port.js';
import { isAlive } from '../postgres/postmaster-pid.js';
import { SupervisedProcess } from './supervised-process.js';

/** Serves its health, notes what happens to it, and takes a moment to drain. */
const SERVER = `
const { appendFileSync } = require('node:fs');
const note = (text) => appendFileSync(process.env.NOTES, text + '\\n');
require('node:http').createServer((_, response) => response.end('ok')).listen(process.env.PORT, '127.0.0.1');
note('started');
process.on('SIGTERM', () => setTimeout(() => { note('drained'); process.exit(0); }, 50));
process.on('SIGINT', () => note('interrupted'));
process.on('disconnect', () => { note('orphaned'); process.exit(0); });
`;
const STUBBORN = `${SERVER}; process.removeAllListeners('SIGTERM'); process.on('SIGTERM', () => note('refused'));`;
const BROKEN = `console.error('no such database'); process.exit(1);`;
const MISCONFIGURED = `console.log('{"level":60,"msg":"PORT: must be a port number"}'); process.exit(78);`;

describe('SupervisedProcess', () => {
  let folder: string;
  let port: number;
  const messages: string[] = [];
  const running: SupervisedProcess[] = [];

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'tollgate-supervisor-'));
    port = await findFreePort();
    messages.length = 0;
  });
  afterEach(() => {
    for (const supervised of running.splice(0)) supervised.kill();
    rmSync(folder, { recursive: true, force: true });
  });

  function start(source: string, drainTimeoutMs = 5_000): SupervisedProcess {
    const entry = join(folder, 'entry.cjs');
    writeFileSync(entry, source);
    const supervised = new SupervisedProcess({
      name: 'gateway',
      entry,
      environment: { PORT: String(port), NOTES: join(folder, 'notes') },
      logFile: join(folder, 'gateway.log'),
      origin: `http://127.0.0.1:${port}`,
      drainTimeoutMs,
      report: (message) => messages.push(message),
    });
    running.push(supervised);
    supervised.start();
    return supervised;
  }
  const ready = (supervised: SupervisedProcess): Promise<void> =>
    supervised.waitUntilReady(new AbortController().signal);
  const notes = (): string[] => readFileSync(join(folder, 'notes'), 'utf8').trim().split('\n');

  it('lets a process drain when it is told to stop', async () => {
    const supervised = start(SERVER);
    await ready(supervised);
    await supervised.stop();
    expect(notes()).toEqual(['started', 'drained']);
    expect(supervised.pid).toBeNull();
    expect(messages).toEqual([]);
  });

  it('starts a killed process again and says so', async () => {
    const supervised = start(SERVER);
    await ready(supervised);
    const firstPid = supervised.pid ?? 0;
    process.kill(firstPid, 'SIGKILL');
    while (supervised.pid === firstPid || supervised.pid === null) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await ready(supervised);
    expect(supervised.pid).not.toBe(firstPid);
    expect(messages).toEqual(['gateway: ended (SIGKILL), starting it again in 1 s.']);
  });

  it('does not start a process again that was told to stop', async () => {
    const supervised = start(SERVER);
    await ready(supervised);
    process.kill(supervised.pid ?? 0, 'SIGKILL');
    await supervised.stop();
    await new Promise((resolve) => setTimeout(resolve, 1_200));
    expect(notes()).toEqual(['started']);
  });

  it('kills a process that does not stop in time', async () => {
    const supervised = start(STUBBORN, 200);
    await ready(supervised);
    const pid = supervised.pid ?? 0;
    await supervised.stop();
    expect(isAlive(pid)).toBe(false);
    expect(notes()).toEqual(['started', 'refused']);
    expect(messages).toEqual(['gateway: did not stop within 0.2 s and is killed.']);
  });

  it('gives up on a process that never starts, with its last messages', async () => {
    await expect(ready(start(BROKEN))).rejects.toThrow(/^gateway: it keeps ending[\s\S]*no such database/);
  });

  it('shows nothing of what an earlier run wrote', async () => {
    writeFileSync(join(folder, 'gateway.log'), 'of yesterday\n');
    await expect(ready(start(BROKEN))).rejects.not.toThrow(/of yesterday/);
  });

  it('gives up at once on a process whose environment is wrong, with its message alone', async () => {
    const waiting = ready(start(MISCONFIGURED));
    await expect(waiting).rejects.toThrow(ConfigError);
    await expect(waiting).rejects.toThrow(
      /^gateway: PORT: must be a port number\nNothing of Tollgate is left/,
    );
  });

  it('stops waiting when the start is interrupted', async () => {
    const interrupted = new AbortController();
    const waiting = start(BROKEN).waitUntilReady(interrupted.signal);
    interrupted.abort();
    await expect(waiting).rejects.toMatchObject({ name: 'AbortError' });
  });

  it('runs a process in a group of its own, out of reach of Ctrl-C', async () => {
    const supervised = start(SERVER);
    await ready(supervised);
    // The group has the id of its first process: signalling it reaches exactly that one.
    process.kill(-(supervised.pid ?? 0), 'SIGINT');
    await supervised.stop();
    expect(notes()).toContain('interrupted');
  });
});
