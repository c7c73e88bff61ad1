import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import {
  createTestDatabase,
  seedInstallation,
  usageEventOf,
  type SeededInstallation,
  type TestDatabase,
} from '@tollgate/testing';
import { MasterKey } from '@tollgate/runtime';
import { JournalFolderError, adoptFolders, createFolder, hasOwner } from './journal-folder.js';
import { JournalOwner, foldersIn, journalRoot } from './journal.spec-kit.js';

// Each of its processes compiles the sources when it starts.
jest.setTimeout(120_000);

let database: TestDatabase;
let seeded: SeededInstallation;
let root: string;
let owners: JournalOwner[] = [];

beforeAll(async () => {
  database = await createTestDatabase();
  seeded = await seedInstallation({
    ownerUrl: database.ownerUrl,
    masterKey: MasterKey.generate(),
    upstreams: ['http://127.0.0.1:9/v1'],
  });
});

afterAll(() => database?.drop());

beforeEach(() => {
  root = journalRoot();
});

afterEach(async () => {
  await Promise.all(owners.map((owner) => owner.kill()));
  owners = [];
  rmSync(root, { recursive: true, force: true });
});

async function start(): Promise<JournalOwner> {
  const owner = await JournalOwner.start({ root, databaseUrl: database.appUrl });
  owners.push(owner);
  return owner;
}

describe('the folder of a journal', () => {
  it('two processes on one volume never share a folder', async () => {
    const [one, other] = await Promise.all([start(), start()]);
    await Promise.all(
      [one, other].map((owner) => owner.tell({ do: 'append', events: [usageEventOf(seeded)] })),
    );
    await Promise.all([one.tell({ do: 'check' }), other.tell({ do: 'check' })]);
    const folders = await Promise.all([one.state(), other.state()]);
    expect(new Set(folders.map(({ folder }) => folder)).size).toBe(2);
    expect(foldersIn(root).sort()).toEqual(folders.map(({ folder }) => basename(folder)).sort());
    // Each has its own event, and not that of the other.
    expect(folders.map(({ unknownEvents }) => unknownEvents)).toEqual([1, 1]);
  });

  it('a frozen owner keeps its folder', async () => {
    const [frozen, other] = await Promise.all([start(), start()]);
    const { folder } = await frozen.state();
    frozen.signal('SIGSTOP');
    try {
      expect(await hasOwner(folder)).toBe(true);
      // More questions than its socket takes without being answered.
      await Promise.all(Array.from({ length: 1_000 }, async () => expect(await hasOwner(folder)).toBe(true)));
      await other.tell({ do: 'check' });
      expect(existsSync(folder)).toBe(true);
    } finally {
      frozen.signal('SIGCONT');
    }
    expect((await frozen.state()).folder).toBe(folder);
    expect(await frozen.tell({ do: 'append', events: [usageEventOf(seeded)] })).toBe(true);
  });

  it('an ownerless folder is adopted', async () => {
    const [dead, other] = await Promise.all([start(), start()]);
    const { folder } = await dead.state();
    await dead.tell({ do: 'append', events: [usageEventOf(seeded), usageEventOf(seeded)] });
    await dead.kill();
    expect(await hasOwner(folder)).toBe(false);
    await other.tell({ do: 'check' });
    expect(existsSync(folder)).toBe(false);
    const { unknownEvents, folder: its } = await other.state();
    expect(unknownEvents).toBe(2);
    // And what was adopted is adopted again with it.
    await other.kill();
    const last = await start();
    await last.tell({ do: 'check' });
    expect((await last.state()).unknownEvents).toBe(2);
    expect(existsSync(its)).toBe(false);
  });

  it('exactly one of several processes adopts a folder', async () => {
    const dead = await Promise.all([start(), start()]);
    for (const owner of dead) await owner.tell({ do: 'append', events: [usageEventOf(seeded)] });
    await Promise.all(dead.map((owner) => owner.kill()));
    const living = await Promise.all([start(), start(), start()]);
    await Promise.all(living.map((owner) => owner.tell({ do: 'check' })));
    const states = await Promise.all(living.map((owner) => owner.state()));
    expect(states.reduce((sum, { unknownEvents }) => sum + unknownEvents, 0)).toBe(2);
    expect(foldersIn(root).sort()).toEqual(states.map(({ folder }) => basename(folder)).sort());
  });

  it('has an owner also where the path of its socket is longer than the kernel takes', async () => {
    const deep = join(root, 'x'.repeat(120));
    mkdirSync(deep);
    const folder = await createFolder(deep);
    expect(await hasOwner(folder.path)).toBe(true);
    const other = await createFolder(deep);
    expect(await adoptFolders(deep, other)).toEqual([]);
    await folder.release();
    expect(await hasOwner(folder.path)).toBe(false);
    expect(await adoptFolders(deep, other)).toHaveLength(1);
    await other.release();
  });

  it('is refused where none can be made, with the path', async () => {
    const file = join(root, 'file');
    writeFileSync(file, '');
    const refused = createFolder(join(file, 'journal'));
    await expect(refused).rejects.toThrow(JournalFolderError);
    await expect(refused).rejects.toThrow(`the journal cannot be kept in ${file}`);
  });
});
