import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isAlive, isPostmasterOf } from './postmaster-pid.js';

const onLinux = process.platform === 'linux' ? describe : describe.skip;

onLinux('a program called postgres in its data folder', () => {
  const parents: ChildProcess[] = [];
  let folder: string;

  beforeEach(() => {
    folder = realpathSync(mkdtempSync(join(tmpdir(), 'tollgate-postmaster-')));
    symlinkSync(process.execPath, join(folder, 'postgres'));
  });
  afterEach(() => {
    for (const parent of parents.splice(0)) parent.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  });

  /** Answers its process id, which stays when it ends: its parent takes no note of that. */
  async function start(): Promise<number> {
    // Later versions of Node name their main thread after something else.
    const program = `process.title = 'postgres'; console.log(process.pid); setInterval(() => {}, 1e3)`;
    const parent = spawn('/bin/sh', ['-c', `./postgres -e "${program}" & exec sleep 60`], {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    parents.push(parent);
    const [line] = (await once(parent.stdout, 'data')) as [Buffer];
    return Number(line.toString());
  }

  const stateOf = (pid: number): string | undefined =>
    /\) (\S)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))?.[1];

  it('counts as the Postgres of that folder, and of no other', async () => {
    const pid = await start();
    expect(isPostmasterOf(pid, folder)).toBe(true);
    expect(isPostmasterOf(pid, tmpdir())).toBe(false);
    process.kill(pid, 'SIGKILL');
  });

  it('counts until it has ended, and no longer', async () => {
    for (let round = 0; round < 20; round += 1) {
      const pid = await start();
      process.kill(pid, 'SIGKILL');
      while (isPostmasterOf(pid, folder));
      expect(stateOf(pid)).toBe('Z');
      expect(isAlive(pid)).toBe(true);
    }
  });
});
