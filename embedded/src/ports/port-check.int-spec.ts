import { createServer, type Server } from 'node:net';
import { assertPortsUsable, type WantedPort } from './port-check.js';

describe('assertPortsUsable', () => {
  let holder: Server;
  let port: number;

  beforeEach(async () => {
    holder = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => holder.once('listening', resolve));
    const address = holder.address();
    port = address !== null && typeof address === 'object' ? address.port : 0;
  });
  afterEach(async () => {
    if (holder.listening) await new Promise((resolve) => holder.close(resolve));
  });

  const host = '127.0.0.1';
  const gateway = (): WantedPort => ({ owner: 'gateway', variable: 'GATEWAY_PORT', port, host });
  const check = (ports: WantedPort[], options: { waitMs?: number; onWait?: () => void } = {}) =>
    assertPortsUsable({
      ports,
      waitMs: 0,
      onWait: () => undefined,
      signal: new AbortController().signal,
      ...options,
    });

  it('says which port is taken and how to change it', async () => {
    await expect(check([gateway()])).rejects.toThrow(
      `Port ${port} (gateway) is taken by another program. Stop that one, or change the port with GATEWAY_PORT, for example: GATEWAY_PORT=`,
    );
  });

  it('names every port that is taken', async () => {
    const ports = [gateway(), { owner: 'admin', variable: 'ADMIN_PORT', port: 1, host }];
    const error: unknown = await check(ports).catch((problem: unknown) => problem);
    expect(String(error)).toContain('(gateway)');
    // As a normal user port 1 is forbidden, as root it is free.
    expect(String(error).includes('ADMIN_PORT')).toBe(process.getuid?.() !== 0);
  });

  it('refuses one port for two', async () => {
    const ports = [gateway(), { owner: 'admin', variable: 'ADMIN_PORT', port, host }];
    await expect(check(ports)).rejects.toThrow(`GATEWAY_PORT and ADMIN_PORT are both ${port}`);
  });

  it('waits for a port that becomes free', async () => {
    const freed = check([gateway()], { waitMs: 5_000, onWait: () => holder.close() });
    await expect(freed).resolves.toBeUndefined();
  });

  it('says once that an address is none of this machine', async () => {
    const elsewhere = { host: '192.0.2.1' };
    const ports = [
      { ...gateway(), ...elsewhere },
      { owner: 'admin', variable: 'ADMIN_PORT', port: 1, ...elsewhere },
    ];
    const error: unknown = await check(ports).catch((problem: unknown) => problem);
    expect(error).toMatchObject({
      message: '192.0.2.1 is no address of this machine. Change it with HOST.',
    });
  });
});
