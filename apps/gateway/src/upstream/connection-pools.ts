import { Client, Pool, buildConnector, errors } from 'undici';
import {
  UpstreamAddressError,
  parseUpstreamUrl,
  upstreamLookup,
  type PrivateNetworks,
} from '@tollgate/providers';

/** Connections to one origin at most; requests beyond them wait in undici's queue. */
const CONNECTIONS_MAX = 512;
const CONNECT_TIMEOUT_MS = 10_000;
/** Just below what most servers and load balancers keep idle connections for. */
const KEEP_ALIVE_TIMEOUT_MS = 55_000;

/** Keep-alive connections to upstreams, one pool per origin. Addresses are checked each time one is connected to. */
export class ConnectionPools {
  private readonly pools = new Map<string, Pool>();
  private readonly connector: buildConnector.connector;
  /** Bytes that a connection had read when it broke, by the error that it broke with. */
  private readonly bytesReadBefore = new WeakMap<object, number>();

  constructor(private readonly privateNetworks: PrivateNetworks) {
    this.connector = buildConnector({
      timeout: CONNECT_TIMEOUT_MS,
      lookup: upstreamLookup(privateNetworks),
    });
  }

  /** The pool of an origin. @throws UpstreamAddressError if the origin's host is an address that is not allowed. */
  of(origin: string): Pool {
    let pool = this.pools.get(origin);
    if (pool === undefined) {
      this.check(origin);
      pool = new Pool(origin, { ...this.options(), connections: CONNECTIONS_MAX });
      this.pools.set(origin, pool);
    }
    return pool;
  }

  /** A connection of its own, for one request; the caller closes it. */
  fresh(origin: string): Client {
    return new Client(origin, this.options());
  }

  async close(): Promise<void> {
    await Promise.all([...this.pools.values()].map((pool) => pool.destroy()));
    this.pools.clear();
  }

  /** Whether this error is the end of a connection that had served before: upstreams close idle ones whenever they like. */
  isEndOfKeptConnection(error: unknown): boolean {
    if (error instanceof errors.SocketError) return (error.socket?.bytesRead ?? 0) > 0;
    return typeof error === 'object' && error !== null && (this.bytesReadBefore.get(error) ?? 0) > 0;
  }

  private options(): Client.Options {
    return { pipelining: 1, keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS, connect: this.connect };
  }

  /** undici hands a reset on as the bare system error, without the socket: here it is told what the socket had done. */
  private readonly connect: buildConnector.connector = (options, callback) => {
    this.connector(options, (...result) => {
      const [, socket] = result;
      socket?.once('error', (error: Error) => this.bytesReadBefore.set(error, socket.bytesRead));
      callback(...result);
    });
  };

  private check(origin: string): void {
    const { problem } = parseUpstreamUrl(origin, this.privateNetworks);
    if (problem !== null) throw new UpstreamAddressError(`the base URL ${problem}`);
  }
}
