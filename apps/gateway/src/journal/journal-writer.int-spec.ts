import { readFileSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createLogger } from '@tollgate/runtime';
import { createTestDatabase, eventually, usageEventOf, type TestDatabase } from '@tollgate/testing';
import { v7 as uuidv7 } from 'uuid';
import { createFolder, segmentPath } from './journal-folder.js';
import type { JournalFact } from './journal-line.js';
import { JournalWriter } from './journal-writer.js';
import { JournalOwner, journalRoot } from './journal.spec-kit.js';
import { readSegment } from './segment-reader.js';

// Each of its processes compiles the sources when it starts.
jest.setTimeout(120_000);

let database: TestDatabase;
let root: string;

beforeAll(async () => {
  database = await createTestDatabase();
});

afterAll(() => database?.drop());

beforeEach(() => {
  root = journalRoot();
});

afterEach(() => rmSync(root, { recursive: true, force: true }));

function event() {
  const [accountId, apiKeyId, priceId] = [uuidv7(), uuidv7(), uuidv7()];
  return usageEventOf({ accountId, apiKeyId, priceId, apiKey: '', model: 'm', deploymentIds: [] });
}

function segments(folder: string): string[] {
  return readdirSync(folder).filter((name) => name.endsWith('.journal'));
}

describe('the writer of the journal', () => {
  it('shares one fsync among what comes within milliseconds, in the order in which it came', async () => {
    const folder = await createFolder(root);
    const written: (readonly JournalFact[])[] = [];
    const writer = new JournalWriter({
      folder: folder.path,
      logger: createLogger('test', 'silent'),
      onWritten: (_path, facts) => written.push(facts),
      onSealed: () => undefined,
    });
    await writer.open();
    const events = Array.from({ length: 50 }, (): JournalFact => ({
      kind: 'event',
      contract: 1,
      event: event(),
    }));
    const answers = await Promise.all(events.map((fact) => writer.appendDurably([fact])));
    expect(answers.every(Boolean)).toBe(true);
    expect(written.flat()).toEqual(events);
    expect(written).toHaveLength(1);
    expect((await readSegment(segmentPath(folder.path, 1))).facts).toEqual(events);
    await writer.close();
    expect(await writer.appendDurably(events)).toBe(false);
    await folder.release();
  });

  it('has an event from the moment on in which its answer ends, though the process be killed then', async () => {
    const owner = await JournalOwner.start({ root, databaseUrl: database.appUrl, intervalMs: 3_600_000 });
    const { folder } = await owner.state();
    const [running, finished] = [event(), event()];
    await owner.tell({ do: 'begun', event: running });
    await expect(owner.tell({ do: 'die', event: finished })).rejects.toThrow(/gone/);
    const { facts, damages } = await readSegment(segmentPath(folder, 1));
    expect(damages).toBe(0);
    // What came before it is there too.
    expect(facts).toMatchObject([
      { kind: 'begun', requestId: running.requestId },
      { kind: 'event', event: finished },
    ]);
  });

  it('does not take the time for which its process was frozen for that of the disk', async () => {
    const folder = await createFolder(root);
    const path = segmentPath(folder.path, 1);
    const fact = (): JournalFact & { kind: 'event' } => ({ kind: 'event', contract: 1, event: event() });
    const afterwards = fact();
    const writing: Promise<boolean>[] = [];
    const writer = new JournalWriter({
      folder: folder.path,
      logger: createLogger('test', 'silent'),
      // While a group is on its way to the disk, and for longer than any disk may take.
      onWritten: () => {
        if (writing.length > 0) return;
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5_100);
        writing.push(writer.appendDurably([afterwards]));
        expect(readFileSync(path, 'utf8')).toContain(afterwards.event.requestId);
      },
      onSealed: () => undefined,
    });
    await writer.open();
    expect(await writer.appendDurably([fact()])).toBe(true);
    expect(await Promise.all(writing)).toEqual([true]);
    await writer.close();
    await folder.release();
  });

  it('gives a segment up that fails, and puts what was not on the disk into the next', async () => {
    const owner = await JournalOwner.start({ root, databaseUrl: database.appUrl, intervalMs: 3_600_000 });
    const running = event();
    try {
      // Room for some thirty events in each file.
      owner.limitFiles('20000');
      await owner.tell({ do: 'begun', event: running });
      for (let n = 0; n < 20; n += 1) {
        const events = Array.from({ length: 5 }, event);
        expect(await owner.tell({ do: 'append', events })).toBe(true);
      }
      const { folder, unknownEvents } = await owner.state();
      expect(unknownEvents).toBe(100);
      expect(segments(folder).length).toBeGreaterThan(2);
      const found = await Promise.all(segments(folder).map((name) => readSegment(join(folder, name))));
      const ids = found
        .flatMap(({ facts }) => facts)
        .flatMap((fact) => (fact.kind === 'event' ? [fact.event.requestId] : []));
      expect(new Set(ids).size).toBe(100);
      // The line at which a file was full is torn.
      expect(found.filter(({ damages }) => damages > 0).length).toBeGreaterThan(0);
    } finally {
      await owner.kill();
    }
  });

  it('says that it cannot write while no segment can be, and takes lines again afterwards', async () => {
    const owner = await JournalOwner.start({ root, databaseUrl: database.appUrl, intervalMs: 3_600_000 });
    try {
      expect(await owner.tell({ do: 'append', events: [event()] })).toBe(true);
      owner.limitFiles('0:unlimited');
      expect(await owner.tell({ do: 'append', events: [event()] })).toBe(false);
      expect(await owner.tell({ do: 'append', events: [event()] })).toBe(false);
      const { folder, unknownEvents } = await owner.state();
      expect(unknownEvents).toBe(1);
      owner.limitFiles('unlimited');
      await eventually(async () => expect(await owner.tell({ do: 'append', events: [event()] })).toBe(true));
      // Attempts leave nothing behind.
      expect(segments(folder)).toHaveLength(2);
    } finally {
      await owner.kill();
    }
  });
});
