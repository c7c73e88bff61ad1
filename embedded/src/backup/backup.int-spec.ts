import { once } from 'node:events';
import { existsSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { eventually } from '@tollgate/testing';
import { DataLock } from '../data-folder/data-lock.js';
import { visitDatabase } from '../database/visit-database.js';
import { BackupSession } from './backup-session.js';
import { writeBackup, type BackupSummary } from './backup.js';
import {
  BookedInstallation,
  allRows,
  openDatabase,
  transferRows,
  violations,
  withClient,
} from './backup.spec-kit.js';
import { restoreBackup } from './restore.js';

// Real: the embedded Postgres with a cluster of its own, files on disk.

let installation: BookedInstallation;
let file: string;

beforeAll(async () => {
  installation = await BookedInstallation.start();
});

beforeEach(async () => {
  // Some stop it.
  await installation.ensureRunning();
  file = join(installation.root, 'backup.tar.gz');
});

afterEach(() => {
  rmSync(file, { force: true });
  rmSync(join(installation.root, 'restored'), { recursive: true, force: true });
});

afterAll(() => installation.remove());

function backUp(signal = new AbortController().signal): Promise<BackupSummary> {
  const { dataDir } = installation;
  return visitDatabase(dataDir, (database) => writeBackup({ file, dataDir, database, signal }));
}

/** Restores into another folder and looks at what is there. */
async function restored<Value>(look: (ownerUrl: string) => Promise<Value>): Promise<Value> {
  const dataDir = join(installation.root, 'restored');
  await restoreBackup({ file, dataDir });
  const database = await openDatabase(dataDir);
  try {
    return await look(database.ownerUrl);
  } finally {
    await database.stop();
  }
}

describe('a backup of an idle installation', () => {
  it('brings back every row of every table, the queue too, to the byte', async () => {
    const before = await allRows(installation.database.ownerUrl);
    await backUp();
    expect(before.some((line) => line.startsWith('bullmq.'))).toBe(true);
    expect(await restored(allRows)).toEqual(before);
  });

  it('holds the secrets and can be read by its owner alone', async () => {
    const { completedAt, fileCount } = await backUp();
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(Date.now() - Date.parse(completedAt)).toBeLessThan(60_000);
    expect(fileCount).toBeGreaterThan(900);
    await restored(violations);
    const folder = join(installation.root, 'restored');
    expect(statSync(join(folder, 'secrets.json')).mode & 0o777).toBe(0o600);
    expect(statSync(join(folder, 'postgres')).mode & 0o777).toBe(0o700);
  });

  it('leaves no replication slot and no backup mode behind', async () => {
    await backUp();
    await withClient(installation.database.ownerUrl, async (client) => {
      const { rowCount } = await client.query('SELECT FROM pg_replication_slots');
      expect(rowCount).toBe(0);
      await expect(client.query('SELECT pg_backup_stop(false)')).rejects.toThrow('backup is not in progress');
    });
  });
});

describe('a backup under load', () => {
  it('is one moment: each account has its first transfers without a gap, and the books are right', async () => {
    const { ownerUrl } = installation.database;
    const load = installation.load();
    const before = await transferRows(ownerUrl);
    await backUp();
    await load.stop();
    const after = await transferRows(ownerUrl);
    const [rows, broken] = await restored(async (url) => [await transferRows(url), await violations(url)]);
    expect(rows.length).toBeGreaterThan(before.length);
    expect(rows.length).toBeLessThan(after.length);
    expect(rows).toEqual(after.slice(0, rows.length));
    expect(broken).toEqual([]);
  });

  it('keeps the write-ahead log from its start to its end, whatever checkpoints throw away', async () => {
    const { ownerUrl } = installation.database;
    const session = await BackupSession.start(ownerUrl);
    await withClient(ownerUrl, async (client) => {
      await client.query('CREATE TABLE ballast (line text)');
      for (let segment = 0; segment < 8; segment += 1) {
        await client.query('INSERT INTO ballast VALUES ($1)', [String(segment)]);
        await client.query('SELECT pg_switch_wal()');
        await client.query('CHECKPOINT');
      }
    });
    const { walFiles, label } = await session.stop();
    const there = readdirSync(join(installation.dataDir, 'postgres', 'pg_wal'));
    await session.end();
    expect(walFiles.length).toBeGreaterThanOrEqual(9);
    expect(walFiles.filter((name) => !there.includes(name))).toEqual([]);
    expect(label).toContain(`(file ${walFiles[0]})`);
  });
});

describe('a backup of a stopped installation', () => {
  it('starts its Postgres for the time of the backup alone', async () => {
    const before = await transferRows(installation.database.ownerUrl);
    await installation.database.stop();
    await backUp();
    expect(existsSync(join(installation.dataDir, 'postgres', 'postmaster.pid'))).toBe(false);
    expect(existsSync(join(installation.dataDir, 'launcher.lock'))).toBe(false);
    expect(await restored(transferRows)).toEqual(before);
  });

  it('waits for nobody who is just starting it', async () => {
    await installation.database.stop();
    const lock = DataLock.acquire(installation.dataDir);
    await expect(backUp()).rejects.toThrow('is just starting or stopping');
    lock.release();
    expect(existsSync(file)).toBe(false);
  });

  it('needs an installation', async () => {
    const dataDir = join(installation.root, 'nothing');
    await expect(visitDatabase(dataDir, () => Promise.resolve())).rejects.toThrow('There is no installation');
    expect(existsSync(dataDir)).toBe(false);
  });
});

describe('a backup that cannot be finished', () => {
  const leftovers = () => readdirSync(installation.root).filter((name) => name !== 'data');

  it('leaves nothing when it is interrupted', async () => {
    const interrupted = new AbortController();
    setTimeout(() => interrupted.abort(), 150);
    await expect(backUp(interrupted.signal)).rejects.toThrow(
      'The backup was interrupted. Nothing was written',
    );
    expect(leftovers()).toEqual([]);
  });

  it('leaves nothing when its database stops', async () => {
    const backup = backUp();
    const lost = expect(backup).rejects.toThrow('Postgres ended while it was backed up. Nothing was written');
    // It has begun, and is far from its end.
    await eventually(async () => expect(leftovers()).not.toEqual([]), 20_000, 5);
    await installation.database.stop();
    await lost;
    expect(leftovers()).toEqual([]);
  });

  it('says the same where the database stops before it has answered', async () => {
    const stopping = createServer((socket) => socket.once('data', () => socket.destroy()));
    await once(stopping.listen(0, '127.0.0.1'), 'listening');
    const url = new URL(installation.database.ownerUrl);
    url.port = String((stopping.address() as AddressInfo).port);
    const started = BackupSession.start(url.href).finally(() => stopping.close());
    await expect(started).rejects.toThrow('Postgres ended while it was backed up');
    await expect(BackupSession.start(url.href)).rejects.toThrow('Postgres ended while it was backed up');
  });

  it('never overwrites, and never lies in the data folder', async () => {
    writeFileSync(file, 'precious');
    await expect(backUp()).rejects.toThrow('exists already');
    rmSync(file);
    file = join(installation.dataDir, 'backup.tar.gz');
    await expect(backUp()).rejects.toThrow('is in the data folder');
    file = join(installation.root, 'nowhere', 'backup.tar.gz');
    await expect(backUp()).rejects.toThrow('There is no folder');
  });
});
