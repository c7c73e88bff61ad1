import type { LookupOptions } from 'node:dns';
import { UpstreamAddressError, upstreamLookup } from './upstream-lookup.js';

// Real: the resolver of this machine.

function resolve(hostname: string, options: LookupOptions, privateNetworks: 'allow' | 'deny') {
  return new Promise((settle, reject) => {
    upstreamLookup(privateNetworks)(hostname, options, (error, ...found) => {
      if (error === null) settle(found);
      else reject(error);
    });
  });
}

describe('the lookup of upstreams', () => {
  it('answers in the form that was asked for', async () => {
    expect(await resolve('127.0.0.1', {}, 'allow')).toEqual(['127.0.0.1', 4]);
    expect(await resolve('127.0.0.1', { all: true }, 'allow')).toEqual([
      [{ address: '127.0.0.1', family: 4 }],
    ]);
    expect(await resolve('localhost', { family: 4 }, 'allow')).toEqual(['127.0.0.1', 4]);
  });

  it('refuses a name that leads to an address which is not allowed, though the name looks harmless', async () => {
    for (const options of [{}, { all: true }, { family: 4 }]) {
      await expect(resolve('localhost', options, 'deny')).rejects.toThrow(UpstreamAddressError);
    }
    await expect(resolve('169.254.169.254', {}, 'allow')).rejects.toThrow(/metadata/);
  });

  it('passes on that a name does not resolve', async () => {
    await expect(resolve('no-such-host.invalid', {}, 'allow')).rejects.toMatchObject({
      syscall: 'getaddrinfo',
    });
  });
});
