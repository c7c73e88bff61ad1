import { scramVerifier } from './scram-verifier.js';

describe('scramVerifier', () => {
  it('has the form that Postgres takes in place of a password', () => {
    expect(scramVerifier('secret')).toMatch(
      /^SCRAM-SHA-256\$4096:[A-Za-z0-9+/]{22}==\$[A-Za-z0-9+/]{43}=:[A-Za-z0-9+/]{43}=$/,
    );
  });

  it('is another one each time, and never contains the password', () => {
    expect(scramVerifier('secret')).not.toBe(scramVerifier('secret'));
    expect(scramVerifier('secret')).not.toContain('secret');
  });
});
