import { appendFileSync, mkdtempSync, rmSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LogFile, boundLog, readTail } from './log-file.js';

describe('a log file', () => {
  let folder: string;
  let path: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'tollgate-log-'));
    path = join(folder, 'x.log');
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it('tells only what was written since it was opened', () => {
    writeFileSync(path, 'yesterday\n');
    const log = LogFile.open(path);
    appendFileSync(path, 'today\n');
    expect(log.read()).toBe('today');
    expect(readTail(path)).toBe('yesterday\ntoday');
    log.close();
  });

  it('is set aside when it has grown, while its writer goes on', () => {
    const log = LogFile.open(path);
    writeSync(log.descriptor, Buffer.alloc(11 * 1024 * 1024, 'x'));
    boundLog(path);
    writeSync(log.descriptor, 'after\n');
    expect(readTail(path)).toBe('after');
    expect(statSync(path).size).toBe(6);
    expect(statSync(`${path}.1`).size).toBe(11 * 1024 * 1024);
    log.close();
  });
});
