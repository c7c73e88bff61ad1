import { HISTORY } from './history.js';

/**
 * Ends the pocket of one escrow, so that no hold can draw on it any more. It also runs where memory is short.
 *
 * KEYS: pocket. ARGV: escrow.
 * Returns ['SHUT', spent, held] in nano-credits, or ['GONE'] if there is no such pocket, or one whose sums cannot be trusted because
 *   they are of another history.
 */
export const SHUT_SCRIPT = `#!lua flags=allow-oom
local p = redis.call('HMGET', KEYS[1], 'escrow', 'history', 'spent', 'held')
if p[1] ~= ARGV[1] then return {'GONE'} end
${HISTORY}
redis.call('DEL', KEYS[1])
if p[2] ~= history then return {'GONE'} end
return {'SHUT', p[3], p[4]}
`;
