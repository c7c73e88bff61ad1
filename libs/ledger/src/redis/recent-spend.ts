/**
 * Lua, put into scripts that reckon what an account has spent lately. Two windows of a minute: together they cover the last 60 to
 * 120 seconds. Answers the window's start (a second of TIME), what was spent since, and what was spent in the window before.
 */
export const RECENT_SPEND = `
local function recentSpend(now, since, recent, before)
  since, recent, before = tonumber(since), tonumber(recent) or 0, tonumber(before) or 0
  if not since or now - since >= 120 then return now, 0, 0 end
  if now < since then return now, recent, before end
  if now - since >= 60 then return since + 60, 0, recent end
  return since, recent, before
end
`;
