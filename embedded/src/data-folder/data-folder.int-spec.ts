import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MasterKey } from '@tollgate/runtime';
import { DataLock } from './data-lock.js';
import { isFirstRunDone, recordFirstRun } from './first-run-record.js';
import { processStart } from './process-start.js';
import { loadSecrets } from './secrets.js';

describe('a data folder', () => {
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'tollgate-data-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const lockOf = (pid: number, start: string): void =>
    writeFileSync(join(folder, 'launcher.lock'), JSON.stringify({ pid, start }));

  it('is held by one launcher at a time', () => {
    const lock = DataLock.acquire(folder);
    expect(lock.tookOver).toBe(false);
    expect(() => DataLock.acquire(folder)).toThrow(
      `Tollgate is already running on ${folder} (process ${process.pid}).\nStop that one first`,
    );
    lock.release();
    DataLock.acquire(folder).release();
    expect(readdirSync(folder)).toEqual([]);
  });

  it('is taken over from a launcher that was killed', () => {
    const { pid } = spawnSync(process.execPath, ['-e', '']);
    lockOf(pid, '1');
    expect(DataLock.acquire(folder).tookOver).toBe(true);
  });

  it('is taken over when the process id belongs to a later process', () => {
    lockOf(process.pid, `${processStart(process.pid)}0`);
    expect(DataLock.acquire(folder).tookOver).toBe(true);
  });

  it('is taken over from a lock that was never finished', () => {
    writeFileSync(join(folder, 'launcher.lock'), '{"pid":');
    expect(DataLock.acquire(folder).tookOver).toBe(true);
    expect(readdirSync(folder)).toEqual(['launcher.lock']);
  });

  it('gets its secrets once, readable by nobody else', () => {
    const secrets = loadSecrets(folder);
    expect(loadSecrets(folder)).toEqual(secrets);
    expect(() => MasterKey.parse(secrets.masterKey)).not.toThrow();
    expect(statSync(join(folder, 'secrets.json')).mode & 0o777).toBe(0o600);
    expect(new Set(Object.values(secrets)).size).toBe(3);
  });

  it('is refused when its secrets are lost or damaged, without quoting them', () => {
    mkdirSync(join(folder, 'postgres'));
    writeFileSync(join(folder, 'postgres', 'PG_VERSION'), '18\n');
    expect(() => loadSecrets(folder)).toThrow('secrets.json is missing, but there is a database');
    writeFileSync(join(folder, 'secrets.json'), '{"masterKey":"c2VjcmV0');
    expect(() => loadSecrets(folder)).toThrow(/secrets.json cannot be read\. Restore it from a backup/);
    expect(() => loadSecrets(folder)).not.toThrow(/c2Vj/);
  });

  it('remembers that the first run is over', () => {
    expect(isFirstRunDone(folder)).toBe(false);
    recordFirstRun(folder);
    expect(isFirstRunDone(folder)).toBe(true);
  });
});
