import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { hostOf, parseUpstreamUrl, upstreamAddressProblem, type PrivateNetworks } from '@tollgate/providers';
import { invalidField } from '../http/problem.js';

const RESOLVE_TIMEOUT_MS = 3_000;

/**
 * The base URL of a deployment as it is kept, without slashes at its end.
 * @throws Problem 422 if it is no base URL or leads where no upstream may be. A name that does not resolve now is
 * taken: addresses are judged again with every connection.
 */
export async function requireUpstreamUrl(text: string, privateNetworks: PrivateNetworks): Promise<string> {
  const parsed = parseUpstreamUrl(text, privateNetworks);
  if (parsed.problem !== null) throw invalidField('/baseUrl', parsed.problem);
  const addresses = await resolve(hostOf(parsed.url));
  const problem = addresses
    .map((address) => upstreamAddressProblem(address, privateNetworks))
    .find((found) => found !== null);
  if (problem !== undefined) throw invalidField('/baseUrl', `leads to an address that ${problem}`);
  return parsed.url.href.replace(/\/+$/, '');
}

async function resolve(host: string): Promise<string[]> {
  if (isIP(host) !== 0) return [host];
  const timeout = new AbortController();
  const answers = lookup(host, { all: true }).then(
    (found) => found.map(({ address }) => address),
    () => [],
  );
  const late = delay(RESOLVE_TIMEOUT_MS, [], { signal: timeout.signal }).catch(() => []);
  const addresses = await Promise.race([answers, late]);
  timeout.abort();
  return addresses;
}
