import { RECENT_SPEND } from './recent-spend.js';

/**
 * Ends a hold: what it cost is spent, the rest is free again. A hold of an escrow that is not the account's any more frees nothing
 * here: its money is accounted for in Postgres. A second close finds nothing. It also runs where memory is short.
 *
 * KEYS: pocket, holds, deadlines. ARGV: request, account, cost in nano-credits.
 * Returns CLOSED or GONE.
 */
export const CLOSE_SCRIPT = `#!lua flags=allow-oom
${RECENT_SPEND}
redis.call('ZREM', KEYS[3], ARGV[2] .. '|' .. ARGV[1])
local known = redis.call('HGET', KEYS[2], ARGV[1])
if not known then return 'GONE' end
redis.call('HDEL', KEYS[2], ARGV[1])
local escrow, amount = string.match(known, '^([^|]*)|(%d+)|')
local p = redis.call('HMGET', KEYS[1], 'escrow', 'since', 'recent', 'before')
if p[1] == escrow then
  local since, recent, before = recentSpend(tonumber(redis.call('TIME')[1]), p[2], p[3], p[4])
  -- Redis takes -0 for no number.
  if amount ~= '0' then redis.call('HINCRBY', KEYS[1], 'held', '-' .. amount) end
  redis.call('HINCRBY', KEYS[1], 'spent', ARGV[3])
  redis.call('HSET', KEYS[1], 'since', since, 'recent', string.format('%.0f', recent + tonumber(ARGV[3])),
             'before', string.format('%.0f', before))
end
return 'CLOSED'
`;
