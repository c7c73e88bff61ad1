import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { loadConfig } from '@tollgate/runtime';
import { z } from 'zod';

const LOG_BYTES_MAX = 1024 * 1024 * 1024;

const inspectedSchema = z.object({
  Id: z.string(),
  Name: z.string(),
  Image: z.string(),
  State: z.object({
    Pid: z.number(),
    Running: z.boolean(),
    ExitCode: z.number(),
    Health: z.object({ Status: z.string() }).optional(),
  }),
  Config: z.object({ User: z.string(), Labels: z.record(z.string(), z.string()) }),
  HostConfig: z.object({
    ReadonlyRootfs: z.boolean(),
    CapDrop: z.array(z.string()).nullable(),
    SecurityOpt: z.array(z.string()).nullable(),
    Memory: z.number(),
  }),
  NetworkSettings: z.object({
    Networks: z.record(z.string(), z.object({ IPAddress: z.string() })),
    Ports: z.record(z.string(), z.array(z.object({ HostIp: z.string(), HostPort: z.string() })).nullable()),
  }),
});

/** A container as `docker inspect` tells of it. */
export type Container = z.output<typeof inspectedSchema>;

/** The name of the compose project; e2e/compose/run.sh sets it. */
export function projectName(): string {
  return loadConfig(z.object({ COMPOSE_PROJECT_NAME: z.string() })).COMPOSE_PROJECT_NAME;
}

/** Runs the docker client and answers what it prints. @throws Error with what it complains about. */
export function docker(...words: readonly string[]): string {
  return execFileSync('docker', words, { encoding: 'utf8', maxBuffer: LOG_BYTES_MAX, stdio: 'pipe' });
}

/** The containers of the project, or of one service of it, ended ones included. */
export function containersOf(service?: string): Container[] {
  const filters = [`label=com.docker.compose.project=${projectName()}`];
  if (service !== undefined) filters.push(`label=com.docker.compose.service=${service}`);
  const ids = docker('ps', '--all', '--quiet', ...filters.flatMap((filter) => ['--filter', filter]));
  const found = ids.split('\n').filter((id) => id !== '');
  if (found.length === 0) return [];
  const containers = z.array(inspectedSchema).parse(JSON.parse(docker('inspect', ...found)));
  return containers.sort((one, other) => one.Name.localeCompare(other.Name));
}

/** The only container of a service. */
export function containerOf(service: string): Container {
  const [container] = containersOf(service);
  if (container === undefined) throw new Error(`there is no container of ${service}`);
  return container;
}

export function serviceOf({ Config }: Container): string {
  return Config.Labels['com.docker.compose.service'] ?? '';
}

/** The process that a running container is for: the child of the little init that Docker puts before it. */
export function processOf({ State }: Container): number[] {
  if (!State.Running) return [];
  try {
    return readFileSync(`/proc/${State.Pid}/task/${State.Pid}/children`, 'utf8')
      .split(' ')
      .filter(Boolean)
      .map(Number);
  } catch {
    // It has ended since.
    return [];
  }
}

/** What a container wrote since then, to standard output and error. */
export function logOf({ Id }: Container, since: Date): string {
  // The docker client writes the two to its own two: a shell makes one text of them.
  const command = 'exec docker logs --since "$1" "$2" 2>&1';
  return execFileSync('sh', ['-c', command, 'sh', since.toISOString(), Id], {
    encoding: 'utf8',
    maxBuffer: LOG_BYTES_MAX,
  });
}
