import { HISTORY_NEEDED } from './history.js';

/**
 * Whether Redis can place holds now: scripts run, may ask INFO, may write, and tell which history the data has.
 *
 * KEYS: a key that nobody else uses. ARGV: none.
 * Returns [history, replicas that follow, replicas that are needed to write ('' if not told)].
 */
export const PROBE_SCRIPT = `#!lua
${HISTORY_NEEDED}
redis.call('SET', KEYS[1], '1', 'EX', 60)
local info = redis.call('INFO', 'replication')
return {history, string.match(info, 'connected_slaves:(%d+)') or '0', string.match(info, 'min_slaves_good_slaves:(%d+)') or ''}
`;
