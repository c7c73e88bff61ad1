import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { eventually } from '@tollgate/testing';
import { GatewayBench } from './gateway.spec-kit.js';

const bench = new GatewayBench();

beforeAll(() => bench.start());

afterAll(() => bench.stop());

it('a gateway that stops refuses in OpenAI’s form what still comes on an open connection', async () => {
  const { hostname, port } = new URL(bench.baseUrl);
  const socket = connect(Number(port), hostname);
  await once(socket, 'connect');
  let answer = '';
  socket.setEncoding('utf8').on('data', (piece: string) => (answer += piece));
  const closed = once(socket, 'close');
  const body = JSON.stringify(bench.chat());
  // A request has begun, so the connection is not idle.
  socket.write('POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\n');
  await delay(100);
  const stopped = bench.stopGateway();
  await eventually(() => expect(fetch(bench.baseUrl)).rejects.toThrow());
  socket.write(`authorization: Bearer ${bench.seeded.apiKey}\r\ncontent-type: application/json\r\n`);
  socket.write(`content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
  await Promise.all([stopped, closed]);
  expect(answer).toMatch(/^HTTP\/1\.1 503 /);
  expect(answer.toLowerCase()).toMatch(/\r\nconnection: close\r\n/);
  expect(answer).toMatch(/\r\nx-request-id: req_[0-9a-f]{32}\r\n/);
  // Nobody can look the key up any more.
  expect(JSON.parse(answer.split('\r\n\r\n')[1] ?? '')).toMatchObject({
    error: { code: 'billing_unavailable', param: null },
  });
});
