import { spawn } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { Client } from 'pg';
import { locatePostgresBinaries, type PostgresBinaries } from './binaries.js';
import { findFreePort } from './free-port.js';
import { isAlive, isPostmasterOf, readPostmasterPid } from './postmaster-pid.js';
import { startPostgresServer, type PostgresServer, type PostgresServerOptions } from './postgres-server.js';
import { candidateIdentities } from './process-identity.js';

const password = 'p@ss/word';

async function answer(server: PostgresServer, sql: string, url = server.url('postgres')): Promise<unknown> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query<Record<string, unknown>>(sql);
    return Object.values(rows[0] ?? {})[0];
  } finally {
    await client.end();
  }
}

describe('startPostgresServer', () => {
  let folder: string;
  const servers: PostgresServer[] = [];

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'tollgate-launcher-'));
  });
  afterEach(async () => {
    await Promise.all(servers.splice(0).map((server) => server.stop()));
    rmSync(folder, { recursive: true, force: true });
  });

  async function start(options: Partial<PostgresServerOptions> = {}): Promise<PostgresServer> {
    const server = await startPostgresServer({
      dataDir: join(folder, 'postgres'),
      password,
      durable: false,
      settings: { fsync: 'off' },
      ...options,
    });
    servers.push(server);
    return server;
  }

  it('keeps what was written over a stop and a start', async () => {
    const first = await start();
    await answer(first, 'CREATE TABLE kept AS SELECT 42 AS answer');
    await first.stop();
    expect(isAlive(first.pid)).toBe(false);
    const second = await start();
    expect(second.adopted).toBe(false);
    expect(await answer(second, 'SELECT answer FROM kept')).toBe(42);
  });

  it('asks for the password and listens on 127.0.0.1 alone', async () => {
    const server = await start();
    const wrong = server.url('postgres').replace(encodeURIComponent(password), 'wrong');
    await expect(answer(server, 'SELECT 1', wrong)).rejects.toThrow(/password authentication failed/);
    expect(await answer(server, 'SHOW listen_addresses')).toBe('127.0.0.1');
    expect(await answer(server, 'SHOW unix_socket_directories')).toBe('');
    expect(statSync(join(folder, 'postgres')).mode & 0o077).toBe(0);
  });

  it('uses the given port', async () => {
    const port = await findFreePort();
    const server = await start({ port });
    expect(server.port).toBe(port);
    expect(await answer(server, 'SELECT inet_server_port()')).toBe(port);
  });

  it('says which port is taken', async () => {
    const holder = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => holder.once('listening', resolve));
    const address = holder.address();
    const port = address !== null && typeof address === 'object' ? address.port : 0;
    await expect(start({ port })).rejects.toThrow(`Port ${port} on 127.0.0.1 is taken`);
    await new Promise((resolve) => holder.close(resolve));
  });

  it('takes over a server that runs on the same data folder, and stops it', async () => {
    const left = await start();
    const adopted = await start();
    expect(adopted).toMatchObject({ adopted: true, pid: left.pid, port: left.port });
    expect(await answer(adopted, 'SELECT 1')).toBe(1);
    await adopted.stop();
    await adopted.exited;
    expect(isPostmasterOf(left.pid, join(folder, 'postgres'))).toBe(false);
    // It has ended, but its process id goes only when its parent, this process, has noticed.
    await left.exited;
    expect(isAlive(left.pid)).toBe(false);
  });

  it('clears the postmaster.pid of a killed server, even if its process id belongs to another program', async () => {
    const dataDir = join(folder, 'postgres');
    const first = await start();
    await answer(first, 'CREATE TABLE kept AS SELECT 7 AS answer');
    process.kill(first.pid, 'SIGKILL');
    await first.exited;
    expect(readPostmasterPid(dataDir)).not.toBeNull();
    const stranger = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']);
    writeFileSync(
      join(dataDir, 'postmaster.pid'),
      `${stranger.pid}\n${dataDir}\n1\n${first.port}\n\n\n\nready\n`,
    );
    const second = await start();
    expect(second.adopted).toBe(false);
    expect(await answer(second, 'SELECT answer FROM kept')).toBe(7);
    stranger.kill('SIGKILL');
  });

  it('starts again at once after a kill under load', async () => {
    const first = await start();
    const client = new Client({ connectionString: first.url('postgres') });
    client.on('error', () => undefined);
    await client.connect();
    const broken = client.query('SELECT pg_sleep(30)').catch((error: unknown) => error);
    process.kill(first.pid, 'SIGKILL');
    const second = await start();
    expect(await answer(second, 'SELECT 1')).toBe(1);
    expect(await broken).toBeInstanceOf(Error);
  });

  it('finishes an initialisation that was killed half-way', async () => {
    const unfinished = join(folder, 'postgres.unfinished');
    mkdirSync(unfinished);
    writeFileSync(join(unfinished, 'PG_VERSION'), '18\n');
    const server = await start();
    expect(await answer(server, 'SELECT 1')).toBe(1);
    expect(existsSync(unfinished)).toBe(false);
  });

  it('refuses a folder that holds something else', async () => {
    const dataDir = join(folder, 'postgres');
    mkdirSync(dataDir);
    writeFileSync(join(dataDir, 'letter.txt'), 'dear');
    await expect(start()).rejects.toThrow('is not empty and holds no Postgres database');
  });

  it('refuses a database of another major version', async () => {
    const dataDir = join(folder, 'postgres');
    mkdirSync(dataDir);
    writeFileSync(join(dataDir, 'PG_VERSION'), '13\n');
    await expect(start()).rejects.toThrow('was made by Postgres 13');
  });

  it('says what was tried when no way to run Postgres works', async () => {
    const identities = [{ name: 'broken', prefix: ['/bin/false'], credentials: {}, owner: null }];
    await expect(start({ identities })).rejects.toThrow(
      /cannot be run on the data folder .*\n {2}broken: ended with 1/,
    );
  });
});

/** As root these are the three ways that containers and hosts need; as a normal user there is one. */
describe('every way to give Postgres a user', () => {
  let folder: string;
  const isRoot = process.getuid?.() === 0;
  const candidates = candidateIdentities('/no/such/folder');

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'tollgate-identity-'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it.each(candidates.map((identity) => [identity.name, identity] as const))(
    '%s works on one data folder after another',
    async (_name, identity) => {
      // Reachable for nobody, as a checkout in /opt is.
      chmodSync(folder, 0o755);
      const server = await startPostgresServer({
        dataDir: join(folder, 'postgres'),
        password,
        durable: false,
        identities: [identity],
      });
      try {
        expect(await answer(server, 'SELECT 1')).toBe(1);
      } finally {
        await server.stop();
      }
    },
  );

  it('finds a way into a checkout under a private home folder', async () => {
    const home = join(folder, 'home');
    const checkout = join(home, 'checkout');
    mkdirSync(checkout, { recursive: true, mode: 0o700 });
    const binaries = copyBinaries(checkout);
    if (isRoot) chownSync(home, 4242, 4242);
    const server = await startPostgresServer({
      dataDir: join(checkout, 'postgres'),
      password,
      durable: false,
      binaries,
    });
    try {
      expect(await answer(server, 'SELECT 1')).toBe(1);
    } finally {
      await server.stop();
    }
  });
});

function copyBinaries(target: string): PostgresBinaries {
  const original = locatePostgresBinaries();
  const programs = dirname(original.postgres);
  cpSync(dirname(programs), join(target, 'native'), { recursive: true, verbatimSymlinks: true });
  const move = (path: string): string => join(target, 'native', 'bin', basename(path));
  return {
    ...original,
    initdb: move(original.initdb),
    postgres: move(original.postgres),
    pgCtl: move(original.pgCtl),
  };
}
