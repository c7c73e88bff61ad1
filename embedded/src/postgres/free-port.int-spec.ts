import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { findFreePort } from './free-port.js';

/** Listens on a port, 0 for any, until it is known which, and leaves it. */
async function passingPort(wanted: number): Promise<number> {
  const server = createServer().listen(wanted, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

describe('findFreePort', () => {
  it('names a port that can be listened on at once', async () => {
    const port = await findFreePort();
    expect(await passingPort(port)).toBe(port);
  });

  // Elsewhere a port may be given twice, as from every program that looks for a free one and leaves it.
  const onLinux = process.platform === 'linux' ? it : it.skip;
  onLinux('leaves it to who was told of it: who asks for any port is given another', async () => {
    const found = new Set<number>();
    while (found.size < 50) found.add(await findFreePort());
    for (let asked = 0; asked < 4_000; asked += 1) expect(found).not.toContain(await passingPort(0));
  });
});
