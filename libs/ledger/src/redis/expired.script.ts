/**
 * The holds of a shard that nobody renewed in time, the longest overdue first. They stay until they are closed.
 * Deadlines without a hold are forgotten. The keys of the holds have the shard's tag, so they are on the same node.
 *
 * KEYS: deadlines. ARGV: what the keys of the shard begin with, most holds to answer.
 * Returns for each hold: request, account, escrow, total in nano-credits, checkpoint ('' if none).
 */
export const EXPIRED_SCRIPT = `#!lua flags=allow-oom
local now = redis.call('TIME')[1]
local answers = {}
for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', '(' .. now, 'LIMIT', 0, ARGV[2])) do
  local account, request = string.match(member, '^([^|]*)|(.*)$')
  local known = redis.call('HGET', ARGV[1] .. account .. ':holds', request)
  if known then
    local escrow, amount, checkpoint = string.match(known, '^([^|]*)|(%d+)|(.*)$')
    for _, part in ipairs({request, account, escrow, amount, checkpoint}) do answers[#answers + 1] = part end
  else
    redis.call('ZREM', KEYS[1], member)
  end
end
return answers
`;
