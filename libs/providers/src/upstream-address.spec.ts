import { parseUpstreamUrl, upstreamAddressProblem } from './upstream-address.js';

const FORBIDDEN = /link-local, metadata or reserved/;

describe('upstreamAddressProblem', () => {
  it.each([
    '169.254.169.254',
    '169.254.0.1',
    'fe80::1',
    'fe80::1%eth0',
    '::ffff:169.254.169.254',
    '::ffff:a9fe:a9fe',
    '64:ff9b::a9fe:a9fe',
    '2002:a9fe:a9fe::1',
    'fd00:ec2::254',
    '100.100.100.200',
    '0.0.0.0',
    '::',
    '224.0.0.1',
    'ff02::1',
    '255.255.255.255',
  ])('never lets %s be an upstream', (address) => {
    expect(upstreamAddressProblem(address, 'allow')).toMatch(FORBIDDEN);
    expect(upstreamAddressProblem(address, 'deny')).toMatch(FORBIDDEN);
  });

  it.each([
    '127.0.0.1',
    '10.1.2.3',
    '172.31.255.255',
    '192.168.0.10',
    '100.64.0.1',
    '::1',
    'fd12:3456::1',
    '::ffff:10.0.0.1',
    '64:ff9b::7f00:1',
    '2002:c0a8:1::',
  ])('takes %s only where private networks are allowed', (address) => {
    expect(upstreamAddressProblem(address, 'allow')).toBeNull();
    expect(upstreamAddressProblem(address, 'deny')).toMatch(/private network/);
  });

  it.each(['1.1.1.1', '172.32.0.1', '169.253.0.1', '2606:4700::1111', '::ffff:8.8.8.8'])(
    'takes the public address %s',
    (address) => {
      expect(upstreamAddressProblem(address, 'deny')).toBeNull();
    },
  );

  it('refuses what is no address', () => {
    expect(upstreamAddressProblem('localhost', 'allow')).toBe('is not an IP address');
  });
});

describe('parseUpstreamUrl', () => {
  it.each([
    ['ftp://upstream.test/v1', /http or https/],
    ['upstream', /http or https/],
    ['https://user:secret@upstream.test/v1', /user name/],
    ['https://upstream.test/v1?key=1', /query/],
    ['https://upstream.test/v1#top', /fragment/],
    ['http://2852039166/', FORBIDDEN],
    ['http://0xa9.0xfe.0xa9.0xfe/', FORBIDDEN],
    ['http://[fe80::1]/', FORBIDDEN],
    ['http://metadata.google.internal./', /metadata/],
  ])('refuses %s', (text, reason) => {
    expect(parseUpstreamUrl(text, 'allow').problem).toMatch(reason);
  });

  it('leaves a name to whoever resolves it', () => {
    expect(parseUpstreamUrl('https://upstream.test:8443/v1', 'deny')).toMatchObject({ problem: null });
  });

  it('refuses loopback where private networks are denied', () => {
    expect(parseUpstreamUrl('http://127.0.0.1:8083/v1', 'deny').problem).toMatch(/private network/);
    expect(parseUpstreamUrl('http://127.0.0.1:8083/v1', 'allow').problem).toBeNull();
  });
});
