// `npm start` and its sisters: builds what changed, then runs the launcher or the command that is named. Plain JavaScript
// without dependencies, because it has to say clearly what is missing when Node is too old or nothing is installed.
import { spawn, spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = new URL('../', import.meta.url);
const projects = ['embedded', 'apps/gateway', 'apps/billing', 'apps/admin'];

/** Whether a version such as 20.19.0 is in a range such as "^20.19.0 || >=24.11.0". */
function isInRange(version, range) {
  const parse = (text) => text.split('.').map(Number);
  const atLeast = (one, other) => {
    const place = one.findIndex((number, index) => number !== other[index]);
    return place === -1 || one[place] > other[place];
  };
  const actual = parse(version);
  return range.split('||').some((part) => {
    const [, sign, wanted] = /^\s*(\^|>=)(\d+\.\d+\.\d+)\s*$/.exec(part) ?? [];
    if (wanted === undefined) return false;
    return atLeast(actual, parse(wanted)) && (sign === '>=' || actual[0] === parse(wanted)[0]);
  });
}

/** What keeps this checkout from being built and run, or null. */
function findObstacle({ version, range, hasPackages, hasTypeScript }) {
  if (!isInRange(version, range)) {
    return `Tollgate needs Node.js ${range.replaceAll('||', 'or').replaceAll('^', '')} (this is ${version}).`;
  }
  if (!hasPackages) return 'Nothing is installed yet. Run "npm ci" first.';
  if (!hasTypeScript) {
    return (
      'The development packages are not installed: "npm ci" ran with NODE_ENV=production or --omit=dev.\n' +
      '"npm start" builds Tollgate from its sources and needs them. Run: npm ci --include=dev'
    );
  }
  return null;
}

async function start() {
  const manifest = JSON.parse(readFileSync(new URL('package.json', root), 'utf8'));
  const compiler = fileURLToPath(new URL('node_modules/typescript/bin/tsc', root));
  const obstacle = findObstacle({
    version: process.versions.node,
    range: manifest.engines.node,
    hasPackages: existsSync(new URL('node_modules/@tollgate/runtime', root)),
    hasTypeScript: existsSync(compiler),
  });
  if (obstacle !== null) return fail(obstacle);
  if (mustBuild(process.argv[2])) {
    if (!mayWriteBuild()) {
      // Whoever develops wants every change built.
      const isRunnable = process.argv[2] !== 'dev' && isBuildCurrent(compiler);
      if (!isRunnable) return fail(foreignCheckout());
      return import('./dist/main.js');
    }
    process.stdout.write('Building what changed.\n');
    const code = await build(compiler);
    if (code !== 0) {
      return fail(code === null ? 'The build was interrupted.' : 'The build failed, see above.');
    }
  }
  if (process.argv[2] === 'dev') keepBuilding(compiler);
  await import('./dist/main.js');
}

/**
 * A backup, a new operator token or an audit is made beside a running installation, perhaps with the sources of the next version
 * already there: that one must not be built under the running one.
 */
function mustBuild(command) {
  const isBuilt = existsSync(new URL('dist/main.js', import.meta.url));
  return !(isBuilt && ['backup', 'operator:reset', 'audit'].includes(command));
}

/** A user for the service alone may run what the owner of the checkout built, and change nothing of it. */
function mayWriteBuild() {
  const folders = projects.flatMap((project) => [project, `${project}/dist`]);
  return folders.every((folder) => {
    const path = new URL(folder, root);
    if (!existsSync(path)) return true;
    try {
      accessSync(path, constants.W_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** Asks the compiler, which writes nothing for it. */
function isBuildCurrent(compiler) {
  const words = [compiler, '-b', ...projects, '--dry'];
  const { status, stdout } = spawnSync(process.execPath, words, {
    cwd: fileURLToPath(root),
    encoding: 'utf8',
  });
  // A build that is current but for the time stamps of its files is said to "update timestamps".
  return status === 0 && !/would build/.test(stdout);
}

function foreignCheckout() {
  return (
    `The build is not current, and this user may not write it in ${fileURLToPath(root)}.\n` +
    'Build once as the owner of that folder: npm run build. Then start it as this user, with DATA_DIR.'
  );
}

/** Runs the compiler; gives its exit code, null if a signal ended it. */
function build(compiler) {
  const child = spawn(process.execPath, [compiler, '-b', ...projects], {
    cwd: fileURLToPath(root),
    stdio: 'inherit',
  });
  return new Promise((resolve) => {
    child.once('error', () => resolve(1));
    child.once('exit', resolve);
  });
}

/** `npm run dev`: the compiler stays and builds whatever is saved; the launcher follows what it writes. */
function keepBuilding(compiler) {
  const words = [compiler, '-b', ...projects, '--watch', '--preserveWatchOutput'];
  const child = spawn(process.execPath, words, {
    cwd: fileURLToPath(root),
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  process.on('exit', () => child.kill());
}

function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exitCode = 1;
}

await start();
