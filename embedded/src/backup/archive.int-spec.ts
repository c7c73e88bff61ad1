import { mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { extract } from 'tar';
import { Archive } from './archive.js';

// Real: files on disk.

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tollgate-archive-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** What comes out of a stream when it is unpacked, by path. */
async function unpack(blocks: readonly Buffer[], paths: readonly string[]): Promise<Buffer[]> {
  const file = join(folder, 'archive.tar');
  const target = join(folder, 'unpacked');
  mkdirSync(target);
  writeFileSync(file, Buffer.concat(blocks));
  await extract({ file, cwd: target, strict: true });
  return paths.map((path) => readFileSync(join(target, path)));
}

describe('an archive of files that change', () => {
  it('fills a file that shrinks while it is read up with zeros', async () => {
    const source = join(folder, 'table');
    const size = 600_000;
    writeFileSync(source, Buffer.alloc(size, 'x'));
    const archive = new Archive();
    const blocks: Buffer[] = [];
    for await (const block of archive.file('table', source, 'may vanish')) {
      blocks.push(block);
      // The header and the first piece are out.
      if (blocks.length === 2) truncateSync(source, 10);
    }
    const [content = Buffer.alloc(0)] = await unpack([...blocks, ...archive.end()], ['table']);
    expect(content).toHaveLength(size);
    expect(content.indexOf(0)).toBe(256 * 1024);
    const sha256 = createHash('sha256').update(content).digest('hex');
    expect(archive.files).toEqual([{ path: 'table', sizeBytes: size, sha256 }]);
  });

  it('takes a file that grows as it was, and goes on with the next one', async () => {
    const source = join(folder, 'log');
    writeFileSync(source, 'first');
    const archive = new Archive();
    const blocks: Buffer[] = [];
    for await (const block of archive.file('log', source, 'may vanish')) {
      if (blocks.length === 0) writeFileSync(source, 'first and more');
      blocks.push(block);
    }
    blocks.push(...archive.bytes('next', Buffer.from('dear')), ...archive.end());
    expect((await unpack(blocks, ['log', 'next'])).map(String)).toEqual(['first', 'dear']);
  });

  it('leaves out a file that vanished, unless it is required', async () => {
    const archive = new Archive();
    const gone = join(folder, 'gone');
    for await (const _ of archive.file('gone', gone, 'may vanish')) throw new Error('there is no file');
    expect(archive.files).toEqual([]);
    await expect(archive.file('gone', gone, 'required').next()).rejects.toMatchObject({ code: 'ENOENT' });
  });
});
