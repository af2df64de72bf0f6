-- Whether a queue needs a round of maintenance. Uses record.lua, held.lua, place.lua and fresh.lua.
-- Arguments: as 3 to 6 of tend-queue.lua.
-- Result: 1 or 0.
-- Cost: O(log n).
local function dueBy(line, instant)
  local head = call('ZRANGE', line, 0, 0, 'WITHSCORES')
  return head[2] ~= nil and tonumber(head[2]) <= instant
end

local function isOver(line, field, keptMs, keptCount)
  return (keptMs >= 0 and dueBy(line, now - keptMs))
    or (keptCount >= 0 and tonumber(call('HGET', META, field) or 0) > keptCount)
end

local needed = dueBy(LATER, now) or dueBy(BACKOFF, now) or dueBy(SESSION, now) or dueBy(EXPIRY, now)
  or isOver(DONE, 'done', tonumber(ARGV[1]), tonumber(ARGV[3]))
  or isOver(DEAD, 'dead', tonumber(ARGV[2]), tonumber(ARGV[4]))
  or hasTooManyVoid()
return needed and 1 or 0
