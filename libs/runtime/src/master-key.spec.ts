import { MasterKey, MasterKeyError } from './master-key.js';

describe('MasterKey', () => {
  const key = MasterKey.parse(MasterKey.generate());

  it('opens what it sealed for the same use', () => {
    expect(key.open('credential', key.seal('credential', 'sk-upstream'))).toBe('sk-upstream');
  });

  it('never seals the same text the same way twice', () => {
    expect(key.seal('credential', 'a')).not.toBe(key.seal('credential', 'a'));
  });

  it('refuses a ciphertext of another use, another key, or with a flipped byte', () => {
    const sealed = key.seal('credential', 'sk-upstream');
    const other = MasterKey.parse(MasterKey.generate());
    const flipped = sealed.slice(0, -2) + (sealed.endsWith('A') ? 'BB' : 'AA');
    expect(() => key.open('cursor', sealed)).toThrow(MasterKeyError);
    expect(() => other.open('credential', sealed)).toThrow(/another master key/);
    expect(() => key.open('credential', flipped)).toThrow(MasterKeyError);
  });

  it('hashes a secret differently for each use and each key', () => {
    const other = MasterKey.parse(MasterKey.generate());
    expect(key.hashSecret('api-key', 's').equals(key.hashSecret('api-key', 's'))).toBe(true);
    expect(key.hashSecret('api-key', 's').equals(key.hashSecret('operator-token', 's'))).toBe(false);
    expect(key.hashSecret('api-key', 's').equals(other.hashSecret('api-key', 's'))).toBe(false);
  });

  it('says how to make a master key when it is given a wrong one', () => {
    expect(() => MasterKey.parse('c2hvcnQ=')).toThrow(/openssl rand -base64 32/);
  });
});
