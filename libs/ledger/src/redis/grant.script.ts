/**
 * Fills the pocket of one escrow to what Postgres has set aside for it in all. It makes no pocket and fills no other escrow's, and a
 * grant that comes late or again changes nothing.
 *
 * KEYS: pocket. ARGV: escrow, total granted, available in Postgres beside it; nano-credits.
 * Returns GRANTED or GONE.
 */
export const GRANT_SCRIPT = `#!lua flags=allow-oom
local p = redis.call('HMGET', KEYS[1], 'escrow', 'granted')
if p[1] ~= ARGV[1] then return 'GONE' end
if not p[2] or tonumber(ARGV[2]) >= tonumber(p[2]) then
  redis.call('HSET', KEYS[1], 'granted', ARGV[2], 'available', ARGV[3])
end
return 'GRANTED'
`;
