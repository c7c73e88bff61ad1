/**
 * Lua, put into scripts that compare histories. Redis gives each history of its data a name, `master_replid`: it changes with every
 * restart, promotion and resynchronisation, so a pocket of another name may lack what was spent since. The script asks the node
 * that runs it, so no client can hand it the name of another node.
 */
export const HISTORY = `
local history = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
`;

/** Ends a script that spends, where Redis does not say which history it has. */
export const HISTORY_NEEDED = `${HISTORY}
if not history then return redis.error_reply('NOHISTORY INFO replication has no master_replid') end
`;
