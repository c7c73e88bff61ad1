import { SHARD_COUNT, pocketKeys, shardOf, shardPrefix } from './pocket-keys.js';

describe('pocketKeys', () => {
  it('gives all keys of an account the tag of its shard', () => {
    const accountId = '01890000-0000-7000-8000-00000000abcd';
    const tag = `{s${String(shardOf(accountId))}}`;
    for (const key of Object.values(pocketKeys(accountId))) expect(key).toContain(tag);
    expect(pocketKeys(accountId).deadlines).toBe(`${shardPrefix(shardOf(accountId))}deadlines`);
  });

  it('reckons shards by CRC16, whose check value is 0x31c3', () => {
    expect(shardOf('123456789')).toBe(0x31c3 % SHARD_COUNT);
  });

  it('spreads accounts over all shards', () => {
    const shards = Array.from({ length: 2_000 }, (_, index) => shardOf(`account-${String(index)}`));
    expect(new Set(shards).size).toBe(SHARD_COUNT);
  });
});
