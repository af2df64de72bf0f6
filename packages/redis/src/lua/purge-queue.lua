-- Removes waiting tasks of a queue. Uses record.lua, held.lua, place.lua and fresh.lua.
-- Arguments: 1 most tasks to remove by this call.
-- Result: how many were removed; whether there may be more.
-- Cost: O(log n) per task, O(1) per name in use.
local most = tonumber(ARGV[1])
local removed = 0
mayFinish()

local function remove(ids)
  for _, id in ipairs(ids) do
    local content = call('HGET', TASK, id)
    if content then
      drop(id, content, readRun(call('HGET', RUN, id), content))
      removed = removed + 1
    end
  end
end

local function idsOf(members)
  for number, member in ipairs(members) do
    members[number] = sub(member, 13)
  end
  return members
end

local looked = sortInAll(most)
for _, name in ipairs(call('SMEMBERS', NAMES)) do
  if removed < most then
    remove(idsOf(call('ZRANGE', READY .. name, 0, most - removed - 1)))
  end
end
for _, line in ipairs({ LATER, BACKOFF }) do
  if removed < most then
    remove(idsOf(call('ZRANGE', line, 0, most - removed - 1)))
  end
end
if removed < most then
  remove(call('SRANDMEMBER', PAUSED, most - removed))
end
if removed < most then
  -- Tasks that expired in the hands of a claim wait in no line any more.
  remove(call('ZRANGE', EXPIRY, 0, most - removed - 1))
end
conclude()
return { removed, (removed >= most or looked >= most) and 1 or 0 }
