import { fork, type ChildProcess } from 'node:child_process';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startPostgresServer } from '@tollgate/embedded';
import { migrate } from '@tollgate/persistence';
import { MasterKey, inheritedEnvironment } from '@tollgate/runtime';
import { seedInstallation } from '@tollgate/testing';
import { Pool } from 'undici';
import { median, round2 } from './figures.js';
import { writeRecord } from './record.js';

/** What is measured: requests of a round, and how many of them at a time. */
const CASES = [
  { name: 'plain', stream: false, requests: 2_000, parallel: 32 },
  { name: '50 chunks', stream: true, requests: 600, parallel: 32 },
] as const;
const ROUNDS = 7;
const WARM_UP_ROUNDS = 2;

type Case = (typeof CASES)[number];

/** One of the two servers that take turns. */
interface Subject {
  readonly name: 'gateway' | 'pass-through';
  readonly pid: number;
  readonly pool: Pool;
  readonly headers: Record<string, string>;
}

interface Result {
  readonly case: string;
  readonly gatewayMicroseconds: number;
  readonly passThroughMicroseconds: number;
  readonly ratio: { readonly min: number; readonly median: number; readonly max: number };
}

/** What the gateway costs beside a bare pass-through: CPU of the process for each request. */
export async function measureGatewayCost(): Promise<void> {
  const dataDir = mkdtempSync(join(tmpdir(), 'tollgate-bench-'));
  const children: ChildProcess[] = [];
  const server = await startPostgresServer({
    dataDir: join(dataDir, 'postgres'),
    logFile: join(dataDir, 'postgres.log'),
    user: 'owner',
    password: 'owner',
  });
  try {
    const subjects = await startSubjects(server.url('postgres'), children);
    const results: Result[] = [];
    for (const measured of CASES) results.push(await compare(measured, subjects));
    report(results);
  } finally {
    for (const child of children) child.disconnect();
    await Promise.all(children.map((child) => new Promise((resolve) => child.once('exit', resolve))));
    await server.stop();
    rmSync(dataDir, { recursive: true, force: true });
  }
}

async function startSubjects(
  ownerUrl: string,
  children: ChildProcess[],
): Promise<readonly [Subject, Subject]> {
  const appUrl = ownerUrl.replace('//owner:owner@', '//tollgate_app:app@');
  const masterKey = MasterKey.generate();
  await migrate({ ownerUrl, appUrl });
  const upstreamPort = await startChild(children, new URL('./upstream.js', import.meta.url));
  const upstreamOrigin = `http://127.0.0.1:${upstreamPort.port}`;
  const { apiKey } = await seedInstallation({
    ownerUrl,
    masterKey,
    upstreams: [`${upstreamOrigin}/v1`],
    model: 'bench',
    balanceNano: 9_000_000_000_000_000n,
  });
  const passThrough = await startChild(children, new URL('./pass-through.js', import.meta.url), [
    upstreamOrigin,
  ]);
  const gatewayPort = await startGateway(children, { DATABASE_URL: appUrl, MASTER_KEY: masterKey });
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${apiKey}` };
  return [
    { name: 'gateway', pid: gatewayPort.pid, pool: poolTo(gatewayPort.port), headers },
    { name: 'pass-through', pid: passThrough.pid, pool: poolTo(passThrough.port), headers },
  ];
}

function poolTo(port: number): Pool {
  return new Pool(`http://127.0.0.1:${port}`, { connections: 64, pipelining: 1 });
}

interface Started {
  readonly port: number;
  readonly pid: number;
}

function startChild(children: ChildProcess[], main: URL, args: string[] = []): Promise<Started> {
  const child = fork(fileURLToPath(main), args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  children.push(child);
  return new Promise((resolve, reject) => {
    child.once('message', (message: { port: number }) =>
      resolve({ port: message.port, pid: child.pid ?? 0 }),
    );
    child.once('exit', (code) => reject(new Error(`${main.pathname} ended with ${String(code)}`)));
  });
}

/** The gateway as it is built. It says where it listens in its log. */
function startGateway(children: ChildProcess[], env: Record<string, string>): Promise<Started> {
  const main = fileURLToPath(new URL('../../apps/gateway/dist/main.js', import.meta.url));
  const child = fork(main, [], {
    env: { ...inheritedEnvironment(), ...env, PORT: '0', HOST: '127.0.0.1', NODE_ENV: 'production' },
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  });
  children.push(child);
  return new Promise((resolve, reject) => {
    child.stdout?.on('data', (text: Buffer) => {
      const [, port] = /"url":"http:\/\/[^"]*:(\d+)"/.exec(text.toString()) ?? [];
      if (port !== undefined) resolve({ port: Number(port), pid: child.pid ?? 0 });
    });
    child.once('exit', (code) => reject(new Error(`the gateway ended with ${String(code)}`)));
  });
}

async function compare(measured: Case, subjects: readonly [Subject, Subject]): Promise<Result> {
  const microseconds: Record<Subject['name'], number[]> = { gateway: [], 'pass-through': [] };
  for (let round = -WARM_UP_ROUNDS; round < ROUNDS; round += 1) {
    for (const subject of subjects) {
      const cost = await measure(subject, measured);
      if (round >= 0) microseconds[subject.name].push(cost);
    }
  }
  const ratios = microseconds.gateway.map(
    (cost, round) => cost / (microseconds['pass-through'][round] ?? Number.NaN),
  );
  return {
    case: measured.name,
    gatewayMicroseconds: Math.round(median(microseconds.gateway)),
    passThroughMicroseconds: Math.round(median(microseconds['pass-through'])),
    ratio: {
      min: round2(Math.min(...ratios)),
      median: round2(median(ratios)),
      max: round2(Math.max(...ratios)),
    },
  };
}

/** CPU microseconds of the subject's process for each request of one round. */
async function measure(subject: Subject, measured: Case): Promise<number> {
  const body = JSON.stringify({
    model: 'bench',
    stream: measured.stream,
    messages: [{ role: 'user', content: 'Say fifty tokens, please, as quickly as you can.' }],
  });
  const before = cpuMicroseconds(subject.pid);
  let left = measured.requests;
  const client = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      const response = await subject.pool.request({
        method: 'POST',
        path: '/v1/chat/completions',
        headers: subject.headers,
        body,
      });
      await response.body.dump({ limit: 1_000_000 });
      if (response.statusCode !== 200) {
        throw new Error(`${subject.name} answered ${String(response.statusCode)}`);
      }
    }
  };
  await Promise.all(Array.from({ length: measured.parallel }, client));
  // What is published and closed after the answers belongs to them.
  await new Promise((resolve) => setTimeout(resolve, 300));
  return (cpuMicroseconds(subject.pid) - before) / measured.requests;
}

const TICKS_PER_SECOND = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));

/** User and system time of a process, from Linux' /proc/<pid>/stat (proc(5), fields 14 and 15). */
function cpuMicroseconds(pid: number): number {
  const stat = readFileSync(`/proc/${String(pid)}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return ((Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND) * 1_000_000;
}

function report(results: readonly Result[]): void {
  writeRecord('gateway-cost', { rounds: ROUNDS, results });
  for (const { case: name, gatewayMicroseconds, passThroughMicroseconds, ratio } of results) {
    process.stdout.write(
      `${name.padEnd(10)} gateway ${gatewayMicroseconds} µs, pass-through ${passThroughMicroseconds} µs of CPU per request, ` +
        `ratio ${ratio.median} (${ratio.min} to ${ratio.max})\n`,
    );
  }
}
