import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { create } from 'tar';
import { DataLock } from '../data-folder/data-lock.js';
import { assertNoUnfinishedRestore } from '../data-folder/restore-record.js';
import { visitDatabase } from '../database/visit-database.js';
import { writeBackup } from './backup.js';
import { BookedInstallation, openDatabase, smallArchive, transferRows } from './backup.spec-kit.js';
import { restoreBackup, type RestoreSummary } from './restore.js';

// Real: the embedded Postgres, one backup of it, files on disk.

let installation: BookedInstallation;
let file: string;
let dataDir: string;

beforeAll(async () => {
  installation = await BookedInstallation.start();
  file = join(installation.root, 'backup.tar.gz');
  const source = installation.dataDir;
  const { signal } = new AbortController();
  await visitDatabase(source, (database) => writeBackup({ file, dataDir: source, database, signal }));
});

afterAll(() => installation.remove());

beforeEach(() => {
  dataDir = join(installation.root, 'restored');
});

afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

const restore = (from = file): Promise<RestoreSummary> => restoreBackup({ file: from, dataDir });

/** A refusal leaves things as they were, so that the right archive can follow: here there was no folder. */
async function expectRefusal(from: string, message: string | RegExp): Promise<void> {
  await expect(restore(from)).rejects.toThrow(message);
  expect(existsSync(dataDir)).toBe(false);
}

describe('a restore', () => {
  it('counts what it brought back, and can be started', async () => {
    expect(await restore()).toMatchObject({ accountCount: 1, transferCount: 1, violationCount: 0 });
    expect(readdirSync(dataDir).sort()).toEqual(['logs', 'postgres', 'secrets.json']);
    const database = await openDatabase(dataDir);
    expect(await transferRows(database.ownerUrl)).toEqual(await transferRows(installation.database.ownerUrl));
    await database.stop();
  });

  it('never overwrites', async () => {
    mkdirSync(dataDir);
    writeFileSync(join(dataDir, 'letter.txt'), 'dear');
    await expect(restore()).rejects.toThrow('is not empty: a restore never overwrites');
    expect(readdirSync(dataDir)).toEqual(['letter.txt']);
  });

  it('keeps off a folder in use', async () => {
    mkdirSync(dataDir);
    const lock = DataLock.acquire(dataDir);
    await expect(restore()).rejects.toThrow('Tollgate is already running');
    lock.release();
  });

  it('can be repeated after it was cut off; until then nothing starts there', async () => {
    mkdirSync(join(dataDir, 'restore.unfinished', 'postgres'), { recursive: true });
    writeFileSync(join(dataDir, 'secrets.json'), '{}');
    expect(() => assertNoUnfinishedRestore(dataDir)).toThrow('did not come to its end. Repeat it');
    await restore();
    expect(() => assertNoUnfinishedRestore(dataDir)).not.toThrow();
    expect(existsSync(join(dataDir, 'restore.unfinished'))).toBe(false);
  });
});

describe('an archive', () => {
  const sha256 = createHash('sha256').update('18').digest('hex');
  const entry = { path: 'postgres/PG_VERSION', sizeBytes: 2, sha256 };
  const small = (
    files: Readonly<Record<string, string>>,
    changes: Parameters<typeof smallArchive>[0]['changes'] = { files: [entry] },
  ): Promise<string> => smallArchive({ file: `${file}.small`, files, changes });

  it('is refused where a file was changed', async () => {
    const changed = await small({ 'postgres/PG_VERSION': '17' });
    await expectRefusal(changed, 'postgres/PG_VERSION is not what was backed up. Nothing was restored');
  });

  it('is refused where a file is missing or was added', async () => {
    await expectRefusal(await small({}), 'postgres/PG_VERSION is missing');
    const more = await small({ 'postgres/PG_VERSION': '18', 'postgres/extra': '' });
    await expectRefusal(more, 'postgres/extra is not what was backed up');
  });

  it('is refused where it is cut off, or none', async () => {
    const cut = `${file}.cut`;
    copyFileSync(file, cut);
    truncateSync(cut, 100_000);
    await expectRefusal(cut, 'is damaged or no backup');
    writeFileSync(cut, 'dear');
    await expectRefusal(cut, 'is damaged or no backup');
    mkdirSync(dataDir);
    await expect(restore(cut)).rejects.toThrow('is damaged or no backup');
    expect(readdirSync(dataDir)).toEqual([]);
    await expect(restore(`${file}.none`)).rejects.toThrow('There is no file');
  });

  it('is refused without a manifest', async () => {
    await create({ file: `${file}.bare`, cwd: installation.dataDir, gzip: true }, ['secrets.json']);
    await expectRefusal(`${file}.bare`, 'it has no manifest');
  });

  it.each([
    ['a newer schema', { migrations: ['FromTheFuture'] }, 'was made by a newer version of Tollgate (9.9.9)'],
    ['a newer format', { format: 2 }, 'was made by a newer version of Tollgate (9.9.9)'],
    ['another Postgres', { postgresMajor: '17' }, 'is of Postgres 17, this is Postgres'],
    ['another machine', { machine: 'vms-vax' }, 'was made on vms-vax'],
  ])('of %s is refused', async (_, changes, message) => {
    await expectRefusal(await small({}, changes), message);
  });
});
