import { lookup as dnsLookup } from 'node:dns';
import type { LookupFunction } from 'node:net';
import { upstreamAddressProblem, type PrivateNetworks } from './upstream-address.js';

/** An upstream's address may not be connected to. */
export class UpstreamAddressError extends Error {
  override readonly name = 'UpstreamAddressError';
}

/**
 * The `lookup` of every connection to an upstream: names can change after they were saved, so each is judged again when it
 * is connected to. A host is refused with UpstreamAddressError if any of its addresses is not allowed. Node looks up no
 * host that is an address already: judge those with `parseUpstreamUrl`.
 */
export function upstreamLookup(privateNetworks: PrivateNetworks): LookupFunction {
  return (hostname, options, callback) => {
    dnsLookup(hostname, { ...options, all: true }, (error, addresses) => {
      if (error !== null) {
        callback(error, '', 4);
        return;
      }
      const problems = addresses.map(({ address }) => upstreamAddressProblem(address, privateNetworks));
      const problem = problems.find((found) => found !== null);
      if (problem !== undefined) {
        callback(
          new UpstreamAddressError(`the upstream's host resolves to an address that ${problem}`),
          '',
          4,
        );
        return;
      }
      const [first] = addresses;
      if (options.all === true) callback(null, addresses);
      else callback(null, first?.address ?? '', first?.family ?? 4);
    });
  };
}
