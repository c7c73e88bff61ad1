import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdirSync, openSync, readdirSync, statSync, truncateSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

const BINARY = 'redis-server';
const MARK_INTERVAL_MS = 250;
const MARKS_MAX = 600;
const POLL_MS = 20;
const START_MAX_MS = 30_000;

/** How long the append-only file was at some time. */
interface Mark {
  readonly atMs: number;
  readonly file: string;
  readonly bytes: number;
}

/** A real Redis with an append-only file, as compose runs it, which can be killed, frozen and rolled back. */
export class ChaosRedis {
  private server: ChildProcess | null = null;
  private marks: Mark[] = [];
  private readonly timer: NodeJS.Timeout;

  private constructor(
    private readonly folder: string,
    readonly port: number,
    private readonly logFile: string,
  ) {
    this.timer = setInterval(() => this.mark(), MARK_INTERVAL_MS);
    this.timer.unref();
  }

  /** @throws Error where this machine has no redis-server. */
  static async start(options: { folder: string; port: number; logFile: string }): Promise<ChaosRedis> {
    if (spawnSync(BINARY, ['--version']).status !== 0) {
      throw new Error('this needs a redis-server on the PATH');
    }
    mkdirSync(options.folder, { recursive: true });
    const redis = new ChaosRedis(options.folder, options.port, options.logFile);
    await redis.start();
    return redis;
  }

  get pid(): number | null {
    return this.server?.pid ?? null;
  }

  async start(): Promise<void> {
    const log = openSync(this.logFile, 'a');
    const place = ['--bind', '127.0.0.1', '--port', String(this.port), '--dir', this.folder];
    const durable = ['--appendonly', 'yes', '--appendfsync', 'everysec', '--maxmemory-policy', 'noeviction'];
    // Rolling back shortens the file to what it was: it must not be rewritten in between.
    const settings = ['--save', '', '--auto-aof-rewrite-percentage', '0'];
    this.server = spawn(BINARY, [...place, ...durable, ...settings], { stdio: ['ignore', log, log] });
    const deadlineMs = Date.now() + START_MAX_MS;
    while ((await this.ask('PING').catch(() => '')) !== '+PONG') {
      if (Date.now() > deadlineMs) throw new Error('Redis does not start');
      await delay(POLL_MS);
    }
  }

  async kill(): Promise<void> {
    await this.end('SIGKILL');
  }

  freeze(): void {
    this.server?.kill('SIGSTOP');
  }

  resume(): void {
    this.server?.kill('SIGCONT');
  }

  /**
   * Kills it and starts it with the append-only file as it was so many milliseconds ago, or as long ago as is known. Answers how long
   * ago that was; null: nothing is known, so it was only killed.
   */
  async rollBack(ageMs: number): Promise<number | null> {
    this.mark();
    await this.kill();
    const nowMs = Date.now();
    const file = this.marks.at(-1)?.file;
    const mark =
      this.marks.findLast((one) => one.file === file && nowMs - one.atMs >= ageMs) ??
      this.marks.find((one) => one.file === file);
    if (mark !== undefined) {
      truncateSync(mark.file, mark.bytes);
      this.marks = this.marks.filter(({ atMs }) => atMs <= mark.atMs);
    }
    await this.start();
    return mark === undefined ? null : nowMs - mark.atMs;
  }

  async flush(): Promise<void> {
    await this.ask('FLUSHALL');
  }

  /** One line to Redis; the first line of its answer, the second for a text. Rejects where there is none. */
  ask(line: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const socket = connect(this.port, '127.0.0.1');
      socket.setTimeout(5_000, () => socket.destroy(new Error('Redis does not answer')));
      socket.once('error', reject);
      let text = '';
      socket.on('data', (bytes) => {
        text += bytes.toString();
        const [first = '', ...lines] = text.split('\r\n');
        const [second = ''] = lines;
        const isText = /^\$\d/.test(first);
        if (lines.length < (isText ? 2 : 1)) return;
        resolve(isText ? second : first);
        socket.destroy();
      });
      socket.once('close', () => reject(new Error('Redis did not answer')));
      socket.write(`${line}\r\n`);
    });
  }

  async stop(): Promise<void> {
    clearInterval(this.timer);
    this.resume();
    await this.end('SIGKILL');
  }

  private async end(signal: NodeJS.Signals): Promise<void> {
    const { server } = this;
    if (server === null || server.exitCode !== null || server.signalCode !== null) return;
    const exited = new Promise((resolve) => server.once('exit', resolve));
    server.kill(signal);
    await exited;
  }

  private mark(): void {
    const folder = join(this.folder, 'appendonlydir');
    try {
      const name = readdirSync(folder).find((one) => one.endsWith('.incr.aof'));
      if (name === undefined) return;
      const file = join(folder, name);
      this.marks.push({ atMs: Date.now(), file, bytes: statSync(file).size });
      if (this.marks.length > MARKS_MAX) this.marks.shift();
    } catch {
      // It is just being started.
    }
  }
}
