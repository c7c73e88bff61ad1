// Starts the Postgres of a test run in a process of its own. That process watches the pipe to this one: however Jest
// ends, by itself, by Ctrl-C or killed, the pipe closes and the server and its folder go.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const loader = new URL('./typescript-loader.mjs', import.meta.url).href;
const keeper = fileURLToPath(new URL('./src/postgres/postgres-keeper.ts', import.meta.url));

export default async function startTestPostgres() {
  const child = spawn(process.execPath, ['--enable-source-maps', '--import', loader, keeper], {
    cwd: fileURLToPath(new URL('../', import.meta.url)),
    // A group of its own: Ctrl-C must not kill it before it has cleaned up.
    detached: true,
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  globalThis.tollgateTestPostgres = child;
  const exited = new Promise((resolve) =>
    child.once('exit', (code) => resolve({ failure: `it ended with ${code}` })),
  );
  const announced = new Promise((resolve) => {
    createInterface(child.stdout).on('line', (line) => line.startsWith('{') && resolve(JSON.parse(line)));
  });
  // A failure is told by every spec that needs Postgres, so that the run still ends with its closing line.
  const { serverUrl, failure, templateFailure } = await Promise.race([announced, exited]);
  if (serverUrl !== undefined) process.env.TEST_POSTGRES_URL = serverUrl;
  if (failure !== undefined) process.env.TEST_POSTGRES_FAILURE = failure;
  if (templateFailure !== undefined) process.env.TEST_TEMPLATE_FAILURE = templateFailure;
}
