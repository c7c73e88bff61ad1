import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MadeFolders } from './made-folders.js';

describe('folders that a start makes', () => {
  let root: string;

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'tollgate-folders-'));
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  it('go again where they stayed empty, with those around them, and not one more', () => {
    mkdirSync(join(root, 'before'));
    const folders = new MadeFolders();
    folders.make(join(root, 'before', 'data', 'of-mine'));
    folders.make(join(root, 'before', 'data', 'of-mine', 'logs'));
    folders.removeEmpty();
    expect(existsSync(join(root, 'before', 'data'))).toBe(false);
    expect(existsSync(join(root, 'before'))).toBe(true);
  });

  it('stay where something is in them, and where they were there before', () => {
    mkdirSync(join(root, 'old'));
    const folders = new MadeFolders();
    folders.make(join(root, 'old'));
    folders.make(join(root, 'new'));
    writeFileSync(join(root, 'new', 'letter'), '');
    folders.removeEmpty();
    expect([existsSync(join(root, 'old')), existsSync(join(root, 'new'))]).toEqual([true, true]);
  });

  it('are refused with what to do where they cannot be', () => {
    writeFileSync(join(root, 'file'), '');
    expect(() => new MadeFolders().make(join(root, 'file', 'data'))).toThrow(
      /^The data folder .* cannot be made \(ENOTDIR\)\. Name one that can .*DATA_DIR/,
    );
  });
});
