import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { refusalOf } from './serve-metrics.js';

const TOKEN = 'a-metrics-token-of-some-length';

function from(remoteAddress: string | undefined, headers: IncomingHttpHeaders = {}) {
  return { headers, socket: { remoteAddress } } as unknown as IncomingMessage;
}

describe('refusalOf', () => {
  it.each(['127.0.0.1', '127.8.9.1', '::1', '::ffff:127.0.0.1'])(
    'lets %s read without a token',
    (address) => {
      expect(refusalOf(from(address), undefined)).toBeNull();
    },
  );

  it.each(['10.0.0.1', '::ffff:10.0.0.1', '1270.0.0.1', '::2', undefined])(
    'hides them from %s',
    (address) => {
      expect(refusalOf(from(address), undefined)).toBe('hidden');
    },
  );

  it.each(['x-forwarded-for', 'forwarded', 'x-real-ip', 'via', 'origin'])(
    'hides them where %s says that this machine asks for somebody else',
    (name) => {
      expect(refusalOf(from('127.0.0.1', { [name]: 'x' }), undefined)).toBe('hidden');
    },
  );

  it('lets whoever has the token read, from anywhere', () => {
    expect(
      refusalOf(from('10.0.0.1', { authorization: `Bearer ${TOKEN}`, forwarded: 'x' }), TOKEN),
    ).toBeNull();
  });

  it.each([
    undefined,
    '',
    TOKEN,
    `Bearer ${TOKEN}x`,
    `Bearer ${TOKEN.slice(1)}`,
    'Bearer ',
    `Basic ${TOKEN}`,
  ])('refuses %p where there is a token, from this machine too', (authorization) => {
    const headers = authorization === undefined ? {} : { authorization };
    expect(refusalOf(from('127.0.0.1', headers), TOKEN)).toBe('unauthorized');
  });
});
