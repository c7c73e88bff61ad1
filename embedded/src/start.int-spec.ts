import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const script = fileURLToPath(new URL('../start.mjs', import.meta.url));

const NOBODY = 65_534;
const isRoot = process.getuid?.() === 0;

/** Runs start.mjs in a checkout that holds exactly these files; `isForeign` if its user may only read them. */
function startIn(
  files: Record<string, string>,
  { nodeRange = '^20.19.0 || ^22.13.0 || >=24.11.0', isForeign = false } = {},
) {
  const checkout = mkdtempSync(join(tmpdir(), 'tollgate-checkout-'));
  const all = { 'package.json': JSON.stringify({ engines: { node: nodeRange } }), ...files };
  for (const [path, text] of Object.entries(all)) {
    mkdirSync(dirname(join(checkout, path)), { recursive: true });
    writeFileSync(join(checkout, path), text);
  }
  mkdirSync(join(checkout, 'embedded'), { recursive: true });
  cpSync(script, join(checkout, 'embedded', 'start.mjs'));
  if (isForeign) {
    chmodSync(checkout, 0o755);
    for (const folder of ['embedded', 'embedded/dist']) chmodSync(join(checkout, folder), 0o555);
  }
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(checkout, 'embedded', 'start.mjs')], {
    encoding: 'utf8',
    // Root may write everything, whatever the mode.
    ...(isForeign && isRoot && { uid: NOBODY, gid: NOBODY }),
  });
  if (isForeign) for (const folder of ['embedded', 'embedded/dist']) chmodSync(join(checkout, folder), 0o755);
  rmSync(checkout, { recursive: true, force: true });
  return { status, stdout, stderr };
}

const installed = { 'node_modules/@tollgate/runtime/package.json': '{}' };
const compiler = (source: string) => ({ ...installed, 'node_modules/typescript/bin/tsc': source });
const main = {
  'embedded/dist/main.js': 'process.stdout.write("running");',
  'embedded/package.json': '{"type":"module"}',
};

describe('npm start', () => {
  it('builds the processes and then runs the launcher', () => {
    const files = { ...compiler('process.stdout.write(process.argv.slice(2).join(" ") + ";");'), ...main };
    const { status, stdout } = startIn(files);
    expect(stdout).toBe('Building what changed.\n-b embedded apps/gateway apps/billing apps/admin;running');
    expect(status).toBe(0);
  });

  it('says that Node is too old', () => {
    const { status, stderr } = startIn({}, { nodeRange: '^18.0.0 || >=99.11.0' });
    expect(stderr).toBe(`Tollgate needs Node.js 18.0.0 or >=99.11.0 (this is ${process.versions.node}).\n`);
    expect(status).toBe(1);
  });

  it('says that nothing is installed', () => {
    expect(startIn({}).stderr).toBe('Nothing is installed yet. Run "npm ci" first.\n');
  });

  it('says that the development packages are missing', () => {
    const { status, stderr } = startIn(installed);
    expect(stderr).toContain('NODE_ENV=production or --omit=dev');
    expect(stderr).toContain('npm ci --include=dev');
    expect(status).toBe(1);
  });

  it('runs what is built already as a user who may not write it', () => {
    const files = { ...compiler("process.stdout.write('Project x is up to date');"), ...main };
    expect(startIn(files, { isForeign: true })).toMatchObject({ status: 0, stdout: 'running' });
  });

  it('says who has to build where the user may not and must', () => {
    const files = {
      ...compiler("process.stdout.write('A non-dry build would build project x');"),
      ...main,
    };
    const { status, stdout, stderr } = startIn(files, { isForeign: true });
    expect(stderr).toMatch(
      /^The build is not current, and this user may not write it in .*\n.*npm run build/,
    );
    expect(stdout).toBe('');
    expect(status).toBe(1);
  });

  it('does not run what could not be built', () => {
    const { status, stdout, stderr } = startIn({ ...compiler('process.exit(2);'), ...main });
    expect(stdout).not.toContain('running');
    expect(stderr).toBe('The build failed, see above.\n');
    expect(status).toBe(1);
  });
});
