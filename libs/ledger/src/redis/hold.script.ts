import { HISTORY_NEEDED } from './history.js';
import { RECENT_SPEND } from './recent-spend.js';

/**
 * Places the hold of a request, extends it, or moves it into the current escrow: sets it to a total, never lower than it was.
 * A pocket that is missing or of another history is first replaced by an empty one with a fresh escrow id: only \`grant\` fills it.
 *
 * KEYS: pocket, holds, deadlines. Amounts are nano-credits as decimal strings, below 2^53, so doubles are exact.
 * ARGV: request, account, total, least (the smallest total that is of use), fresh escrow id, seconds the hold lives.
 * Returns ['HELD', escrow, total granted, free beside it, available in Postgres as of the last grant, wanted or '']: wanted is the
 *   total to refill the escrow to, told below the low-water mark.
 * Or ['SHORT', escrow, base, need, free, had]: the escrow's total has to become base + need, which comes on top of what the hold has;
 *   nothing was changed.
 *   A pocket that was never granted anything is short even of a hold of 0: Postgres has not said yet that the account exists.
 * The target of a refill is what was spent in the last 60 to 120 s, but at least four holds of this size.
 */
export const HOLD_SCRIPT = `#!lua
${HISTORY_NEEDED}${RECENT_SPEND}
local request, account, fresh, ttl = ARGV[1], ARGV[2], ARGV[5], tonumber(ARGV[6])
local total, least = tonumber(ARGV[3]), tonumber(ARGV[4])
local now = tonumber(redis.call('TIME')[1])
local p = redis.call('HMGET', KEYS[1], 'escrow', 'history', 'granted', 'spent', 'held', 'available', 'since', 'recent', 'before')
if not p[1] or p[2] ~= history then
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], 'escrow', fresh, 'history', history, 'spent', '0', 'held', '0',
             'since', p[7] or now, 'recent', p[8] or '0', 'before', p[9] or '0')
  redis.call('EXPIRE', KEYS[1], 86400)
  p[1], p[3], p[4], p[5], p[6] = fresh, false, '0', '0', '0'
end
local escrow, granted = p[1], tonumber(p[3] or nil)
local spent, held = tonumber(p[4]), tonumber(p[5])
local has, checkpoint = 0, ''
local known = redis.call('HGET', KEYS[2], request)
if known then
  local itsEscrow, amount, rest = string.match(known, '^([^|]*)|(%d+)|(.*)$')
  checkpoint = rest
  if itsEscrow == escrow then has = tonumber(amount) end
end
local _, recent, before = recentSpend(now, p[7], p[8], p[9])
local target = math.max(recent + before, 4 * total)
local free = (granted or 0) - spent - held
local need = math.max(total - has, 0)
local gets = need
if free < need then
  gets = math.max(free, 0)
  if has + gets < least then gets = nil end
end
if not granted or not gets then
  return {'SHORT', escrow, string.format('%.0f', spent + held + target), string.format('%.0f', need),
          string.format('%.0f', free), string.format('%.0f', has)}
end
if gets > 0 then redis.call('HINCRBY', KEYS[1], 'held', string.format('%.0f', gets)) end
redis.call('HSET', KEYS[2], request, escrow .. '|' .. string.format('%.0f', has + gets) .. '|' .. checkpoint)
redis.call('ZADD', KEYS[3], now + ttl, account .. '|' .. request)
local left = free - gets
local wanted = ''
if left < target / 2 then wanted = string.format('%.0f', spent + held + gets + target) end
return {'HELD', escrow, string.format('%.0f', has + gets), string.format('%.0f', left), p[6] or '0', wanted}
`;
