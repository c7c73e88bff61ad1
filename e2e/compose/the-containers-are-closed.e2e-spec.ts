import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import { ComposeInstallation } from '../installation/compose-installation.js';
import { containersOf, docker, processOf, serviceOf, type Container } from '../installation/containers.js';

const OURS = ['admin', 'billing', 'gateway', 'migrate', 'proxy'];
const IMAGE_BYTES_MAX = 350_000_000;

let installation: ComposeInstallation;
let containers: Container[];

beforeAll(async () => {
  installation = await ComposeInstallation.join();
  // The upstream of the tests is no part of what people install.
  containers = containersOf().filter((container) => serviceOf(container) !== 'fake-upstream');
});

afterAll(() => installation?.discard());

function ours(): Container[] {
  return containers.filter((container) => OURS.includes(serviceOf(container)));
}

/** The uids that a process runs as: real, effective, saved, of files. */
function uidsOf(pid: number): string[] {
  const [, ids = ''] = /^Uid:\s+(.*)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return ids.split(/\s+/);
}

describe('the installation of docker-compose.yml', () => {
  it('runs every service, two of them gateways', () => {
    const running = containers.filter(({ State }) => State.Running).map(serviceOf);
    expect(running.sort()).toEqual(['admin', 'billing', 'gateway', 'gateway', 'postgres', 'proxy', 'redis']);
    const [migrate] = containers.filter((container) => serviceOf(container) === 'migrate');
    expect(migrate?.State).toMatchObject({ Running: false, ExitCode: 0 });
  });

  it('publishes two ports, that of the admin API on this machine only', () => {
    const file = parse(readFileSync(join(__dirname, '../../docker-compose.yml'), 'utf8'));
    const { services } = z
      .object({ services: z.record(z.string(), z.object({ ports: z.array(z.string()).optional() })) })
      .parse(file);
    const written = Object.entries(services).flatMap(([name, { ports = [] }]) =>
      ports.map((port) => [name, port]),
    );
    expect(written).toEqual([
      ['admin', '${ADMIN_ADDRESS:-127.0.0.1}:${ADMIN_PORT:-8081}:8081'],
      ['proxy', '${GATEWAY_ADDRESS:-0.0.0.0}:${GATEWAY_PORT:-8080}:8080'],
    ]);
    const published = containers.filter(({ NetworkSettings }) =>
      Object.values(NetworkSettings.Ports).some((places) => places !== null && places.length > 0),
    );
    expect(published.map(serviceOf).sort()).toEqual(['admin', 'proxy']);
  });

  it('runs nothing of ours as root, with a right to gain, or with a disk to write to', () => {
    expect(ours()).toHaveLength(6);
    for (const container of ours()) {
      const { Config, HostConfig } = container;
      expect([serviceOf(container), Config.User]).toEqual([serviceOf(container), 'node']);
      expect(HostConfig).toMatchObject({
        ReadonlyRootfs: true,
        CapDrop: ['ALL'],
        SecurityOpt: ['no-new-privileges:true'],
      });
      for (const pid of processOf(container)) expect(uidsOf(pid)).not.toContain('0');
    }
  });

  it('bounds the memory of every container', () => {
    expect(containers.filter(({ HostConfig }) => HostConfig.Memory <= 0).map(serviceOf)).toEqual([]);
  });

  it('is one image, small', () => {
    const images = new Set(ours().map(({ Image }) => Image));
    expect(images.size).toBe(1);
    const bytes = Number(docker('image', 'inspect', '--format', '{{.Size}}', [...images].join()));
    console.log(`the image has ${Math.round(bytes / 1e6)} MB`);
    expect(bytes).toBeLessThan(IMAGE_BYTES_MAX);
  });

  it('has secrets that its user alone can read, and no password that everybody knows', () => {
    const listed = docker('exec', idOf('admin'), 'ls', '-ln', '/var/lib/tollgate/secrets');
    const files = listed.split('\n').filter((line) => line.startsWith('-'));
    expect(files.length).toBeGreaterThan(0);
    for (const line of files) expect(line).toMatch(/^-rw-------\.? +1 1000 1000 /);
    const login =
      'PGPASSWORD=replaced-by-migrate exec psql -h "$(hostname -i)" -U tollgate_owner -d tollgate -c "SELECT 1"';
    expect(() => docker('exec', idOf('postgres'), 'sh', '-c', login)).toThrow(
      /password authentication failed/,
    );
  });

  it('keeps metrics and its own pages to the inside', async () => {
    for (const path of ['/metrics', '//metrics', '/%6detrics', '/stats']) {
      const { status } = await fetch(`${installation.gatewayUrl}${path}`);
      expect([path, [401, 404].includes(status)]).toEqual([path, true]);
    }
  });
});

function idOf(service: string): string {
  const container = containers.find((candidate) => serviceOf(candidate) === service);
  if (container === undefined) throw new Error(`there is no container of ${service}`);
  return container.Id;
}
