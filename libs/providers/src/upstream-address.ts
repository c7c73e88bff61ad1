import { BlockList, isIP } from 'node:net';

/** Whether upstreams may live on this machine and in private networks: `UPSTREAM_PRIVATE_NETWORKS`. */
export type PrivateNetworks = 'allow' | 'deny';

/** Never an upstream: unspecified, link-local, multicast, reserved, and the addresses of cloud metadata services. */
const FORBIDDEN = blockList([
  '0.0.0.0/8',
  '169.254.0.0/16',
  '224.0.0.0/4',
  '240.0.0.0/4',
  '100.100.100.200/32', // Alibaba Cloud's metadata service
  '168.63.129.16/32', // Azure's host agent
  '192.0.0.192/32', // Oracle Cloud's metadata service
  '::/128',
  'fe80::/10',
  'ff00::/8',
  'fd00:ec2::254/128', // the metadata service of AWS
  'fd20:ce::254/128', // the metadata service of Google Cloud
]);

/** Loopback and networks that are not routed on the internet. */
const PRIVATE = blockList([
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '::1/128',
  '64:ff9b:1::/48', // translation prefixes of one's own
  'fc00::/7',
  'fec0::/10',
]);

/** Prefixes of IPv6 addresses that lead to an IPv4 address, and the 16-bit group at which that address begins. */
const TRANSLATED = [
  { list: blockList(['::ffff:0:0/96', '64:ff9b::/96']), group: 6 },
  { list: blockList(['2002::/16']), group: 1 },
];

/** Names of metadata services that resolve only where they exist. */
const FORBIDDEN_NAMES: ReadonlySet<string> = new Set(['metadata.google.internal', 'metadata.goog']);

/**
 * Why an address must not be connected to as an upstream, or null if it may be. An IPv6 address that translates to
 * IPv4 is judged by that too. Checked when a deployment is saved and again for each connection: names can change.
 */
export function upstreamAddressProblem(address: string, privateNetworks: PrivateNetworks): string | null {
  const bare = address.split('%', 1)[0] ?? '';
  if (isIP(bare) === 0) return 'is not an IP address';
  const reached = [bare, ...translatedIpv4(bare)];
  if (reached.some((candidate) => contains(FORBIDDEN, candidate))) {
    return 'is a link-local, metadata or reserved address';
  }
  if (privateNetworks === 'deny' && reached.some((candidate) => contains(PRIVATE, candidate))) {
    return 'is in a private network, and UPSTREAM_PRIVATE_NETWORKS is not "allow"';
  }
  return null;
}

/** A base URL as it may be used, or what is wrong with it. */
export type UpstreamUrl = { readonly url: URL; readonly problem: null } | { readonly problem: string };

/**
 * Reads an upstream's base URL: http or https, without user name, query and fragment. An address that stands in it
 * literally is judged here; the addresses of a name are the business of whoever resolves it.
 */
export function parseUpstreamUrl(text: string, privateNetworks: PrivateNetworks): UpstreamUrl {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !['http:', 'https:'].includes(url.protocol)) {
    return { problem: 'must be an http or https URL' };
  }
  if (url.username !== '' || url.password !== '') {
    return { problem: 'must not carry a user name or password' };
  }
  if (url.search !== '' || url.hash !== '') return { problem: 'must not carry a query or fragment' };
  const host = hostOf(url);
  if (FORBIDDEN_NAMES.has(host.replace(/\.$/, ''))) return { problem: 'is the name of a metadata service' };
  const problem = isIP(host) === 0 ? null : upstreamAddressProblem(host, privateNetworks);
  return problem === null ? { url, problem } : { problem };
}

/** The host of a URL as a resolver takes it: IPv6 addresses without their brackets. */
export function hostOf(url: URL): string {
  return url.hostname.replace(/^\[(.*)\]$/, '$1');
}

function blockList(subnets: readonly string[]): BlockList {
  const list = new BlockList();
  for (const subnet of subnets) {
    const [network = '', prefix] = subnet.split('/');
    list.addSubnet(network, Number(prefix), isIP(network) === 6 ? 'ipv6' : 'ipv4');
  }
  return list;
}

function contains(list: BlockList, address: string): boolean {
  return list.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');
}

function translatedIpv4(address: string): string[] {
  if (isIP(address) !== 6) return [];
  const groups = ipv6Groups(address);
  return TRANSLATED.filter(({ list }) => list.check(address, 'ipv6')).map(({ group }) =>
    groups
      .slice(group, group + 2)
      .flatMap((word) => [word >> 8, word & 0xff])
      .join('.'),
  );
}

/** The eight 16-bit groups of a valid IPv6 address. The URL parser writes them without an embedded dotted quad. */
function ipv6Groups(address: string): number[] {
  const [head = '', tail] = hostOf(new URL(`http://[${address}]`)).split('::');
  const before = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => '0');
  return [...before, ...zeros, ...after].map((group) => Number.parseInt(group, 16));
}
