import { createServer, request as httpRequest, type IncomingMessage, type Server } from 'node:http';
import type { ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** One request that went through. */
export interface CountedRequest {
  readonly method: string;
  readonly path: string;
  readonly body: any;
  /** Null until the answer's head has come. */
  status: number | null;
}

/** A wire between client and gateway that changes nothing and writes down every request. */
export class CountingProxy {
  readonly requests: CountedRequest[] = [];
  private readonly server: Server;

  private constructor(private readonly target: URL) {
    this.server = createServer((request, response) => {
      this.forward(request, response).catch(() => response.destroy());
    });
  }

  static async open(target: string): Promise<CountingProxy> {
    const proxy = new CountingProxy(new URL(target));
    // Clients are told by the gateway how long an idle connection lasts: the wire must not end it before.
    proxy.server.keepAliveTimeout = 0;
    await new Promise<void>((resolve) => proxy.server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  /** What a client is told to use: the gateway's own base URL but for the port. */
  get baseUrl(): string {
    const { port } = this.server.address() as AddressInfo;
    return `http://127.0.0.1:${port}/v1`;
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    this.server.closeAllConnections();
    await closed;
  }

  private async forward(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    const body = Buffer.concat(pieces);
    const { method = 'GET', url: path = '/', rawHeaders } = request;
    const counted: CountedRequest = { method, path, body: parseJson(body.toString()), status: null };
    this.requests.push(counted);
    const { hostname, port } = this.target;
    const forwarded = httpRequest({ hostname, port, method, path, headers: rawHeaders, agent: false });
    // A client that leaves has to be seen leaving by the gateway, and a gateway that breaks off by the client.
    response.on('close', () => forwarded.destroy());
    forwarded.on('error', () => response.destroy());
    forwarded.on('response', (answer) => {
      counted.status = answer.statusCode ?? null;
      response.writeHead(answer.statusCode ?? 502, answer.rawHeaders);
      response.flushHeaders();
      answer.on('error', () => response.destroy());
      answer.pipe(response);
    });
    forwarded.end(body);
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
