import { HISTORY } from './history.js';

/**
 * Renews holds of one account and takes their checkpoints. It also runs where memory is short: a stream would end without it.
 *
 * KEYS: pocket, holds, deadlines. ARGV: account, seconds the holds live, then for each hold: request, checkpoint ('' keeps the last).
 * Returns for each hold OPEN; MOVED, if its escrow is not the account's any more: it is renewed, but to go on spending it has to be
 *   held again; or GONE, if there is no such hold.
 */
export const TOUCH_SCRIPT = `#!lua flags=allow-oom
${HISTORY}
local p = redis.call('HMGET', KEYS[1], 'escrow', 'history')
local deadline = tonumber(redis.call('TIME')[1]) + tonumber(ARGV[2])
local answers = {}
for n = 3, #ARGV, 2 do
  local request, checkpoint = ARGV[n], ARGV[n + 1]
  local known = redis.call('HGET', KEYS[2], request)
  if not known then
    answers[#answers + 1] = 'GONE'
  else
    local escrow, amount = string.match(known, '^([^|]*)|(%d+)|')
    if checkpoint ~= '' then redis.call('HSET', KEYS[2], request, escrow .. '|' .. amount .. '|' .. checkpoint) end
    redis.call('ZADD', KEYS[3], deadline, ARGV[1] .. '|' .. request)
    answers[#answers + 1] = (escrow == p[1] and p[2] == history) and 'OPEN' or 'MOVED'
  end
end
return answers
`;
