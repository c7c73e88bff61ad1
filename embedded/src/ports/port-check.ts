import { createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { LaunchError } from '../launch-error.js';
import { codeOf } from '../thrown.js';

/** A port that one of our processes will listen on. */
export interface WantedPort {
  /** Who wants it, as the operator knows it. */
  readonly owner: string;
  /** The environment variable that changes it. */
  readonly variable: string;
  readonly port: number;
  /** The address it listens on. */
  readonly host: string;
}

type PortProblem = 'taken' | 'forbidden' | 'no_such_address';

const RETRY_MS = 250;
const ALTERNATIVE_STEP = 10;

/**
 * Makes sure that every port can be listened on, at the address that its process has.
 * @param waitMs how long a taken port may still become free: processes of a killed run need a while to end.
 * @throws LaunchError that names every port that cannot, and the variable that changes it.
 */
export async function assertPortsUsable(options: {
  ports: readonly WantedPort[];
  waitMs: number;
  onWait: () => void;
  signal: AbortSignal;
}): Promise<void> {
  const { ports, waitMs, onWait, signal } = options;
  assertDifferent(ports);
  const deadlineMs = Date.now() + waitMs;
  for (let waiting = false; ; waiting = true) {
    const checked = await Promise.all(
      ports.map(async (wanted) => ({ wanted, problem: await tryPort(wanted) })),
    );
    const unusable = checked.flatMap(({ wanted, problem }) =>
      problem === null ? [] : [describe(wanted, problem)],
    );
    if (unusable.length === 0) return;
    if (Date.now() >= deadlineMs) throw new LaunchError([...new Set(unusable)].join('\n'));
    if (!waiting) onWait();
    await delay(RETRY_MS, undefined, { signal });
  }
}

function assertDifferent(ports: readonly WantedPort[]): void {
  for (const [index, wanted] of ports.entries()) {
    const same = ports.slice(0, index).find(({ port }) => port === wanted.port);
    if (same === undefined) continue;
    throw new LaunchError(
      `${same.variable} and ${wanted.variable} are both ${wanted.port}. Give each a port of its own.`,
    );
  }
}

/** Why a port cannot be listened on, or null. */
async function tryPort({ host, port }: WantedPort): Promise<PortProblem | null> {
  const server = createServer();
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host, port, exclusive: true }, resolve);
    });
    await new Promise((resolve) => server.close(resolve));
    return null;
  } catch (error) {
    const code = codeOf(error);
    if (code === 'EADDRINUSE') return 'taken';
    if (code === 'EACCES') return 'forbidden';
    if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND') return 'no_such_address';
    throw error;
  }
}

function describe(wanted: WantedPort, problem: PortProblem): string {
  const { owner, variable, port, host } = wanted;
  if (problem === 'no_such_address') return `${host} is no address of this machine. Change it with HOST.`;
  const alternative = port + ALTERNATIVE_STEP > 65_535 ? port - ALTERNATIVE_STEP : port + ALTERNATIVE_STEP;
  const advice = `for example: ${variable}=${problem === 'forbidden' ? port + 8_000 : alternative} npm start`;
  return problem === 'taken'
    ? `Port ${port} (${owner}) is taken by another program. Stop that one, or change the port with ${variable}, ${advice}`
    : `Port ${port} (${owner}) may not be used by this user. Change it with ${variable}, ${advice}`;
}
