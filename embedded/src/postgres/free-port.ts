import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

/**
 * A TCP port of a local address that nobody uses, and that Linux gives to nobody who asks for any port within the next minute: time
 * enough for a program to start that is told to listen there.
 *
 * A connection that its server closes leaves the port in TIME-WAIT. The system passes over such ports; who names one may have it, with
 * SO_REUSEADDR, which Node, Postgres and Redis set. After https://github.com/Yelp/ephemeral-port-reserve.
 */
export async function findFreePort(host = '127.0.0.1'): Promise<number> {
  // Who ends first is left with the TIME-WAIT: it has to be the side that listens.
  const server = createServer((accepted: Socket) => accepted.resume().end());
  server.listen(0, host);
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('a TCP server has no port');
  const client = connect(address.port, host).resume();
  await once(client, 'close');
  server.close();
  await once(server, 'close');
  return address.port;
}
