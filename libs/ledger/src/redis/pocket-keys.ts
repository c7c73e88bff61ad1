/** The Redis keys that hold an account's pocket. All three have one hash tag, so one script may touch them in a cluster. */
export interface PocketKeys {
  /** Hash: the escrow that the account spends from now. */
  readonly pocket: string;
  /** Hash: request id → its hold, as `escrow|total|checkpoint`. */
  readonly holds: string;
  /** Sorted set of the shard: `account|request` by the second at which the hold expires. */
  readonly deadlines: string;
}

/** Accounts are spread over so many shards: each is one slot of a cluster, and one set of deadlines to sweep. */
export const SHARD_COUNT = 64;

export function pocketKeys(accountId: string): PocketKeys {
  const prefix = shardPrefix(shardOf(accountId));
  return {
    pocket: `${prefix}${accountId}:pocket`,
    holds: `${prefix}${accountId}:holds`,
    deadlines: `${prefix}deadlines`,
  };
}

/** What all keys of a shard begin with. */
export function shardPrefix(shard: number): string {
  return `tg:{s${String(shard)}}:`;
}

export function shardOf(accountId: string): number {
  return crc16(accountId) % SHARD_COUNT;
}

/** CRC16/XMODEM, as Redis Cluster reckons its slots. */
function crc16(text: string): number {
  let crc = 0;
  for (let index = 0; index < text.length; index += 1) {
    crc ^= text.charCodeAt(index) << 8;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc & 0x8000) === 0 ? crc << 1 : (crc << 1) ^ 0x1021;
    crc &= 0xffff;
  }
  return crc;
}
