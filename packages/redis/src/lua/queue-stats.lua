-- Numbers of one queue. Uses record.lua, held.lua, place.lua and fresh.lua.
-- Arguments: none.
-- Result: 1 if it is paused; pending, scheduled, retrying, running and paused tasks; age of the oldest due task, -1 if
--   there is none.
-- Cost: O(1) per name in use, O(log n), and O(1) per void entry it takes away.
mayFinish()
local meta = call('HMGET', META, 'stopped', 'pending', 'retrying', 'running', 'paused')
local scheduled = call('ZCOUNT', LATER, '(' .. format('%.0f', now), '+inf')
local oldest = nil

local function see(due)
  if due <= now and (not oldest or due < oldest) then
    oldest = due
  end
end

for _, name in ipairs(call('SMEMBERS', NAMES)) do
  local entry = freshHead(name)
  if entry then
    see(tonumber(sub(entry, 13, 25)))
  end
  local from = '-inf'
  repeat
    local head = call('ZRANGEBYSCORE', READY .. name, from, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
    local place = tonumber(head[2] or nil)
    if place then
      local level = math.floor(place / LEVEL)
      see(place - level * LEVEL)
      from = format('%.0f', (level + 1) * LEVEL)
    end
  until not place
end
for _, line in ipairs({ LATER, BACKOFF }) do
  local head = call('ZRANGE', line, 0, 0, 'WITHSCORES')
  if head[2] then
    see(tonumber(head[2]))
  end
end
conclude()
local function number(value)
  return tonumber(value or 0)
end
return {
  meta[1] and 1 or 0, number(meta[2]) - scheduled, scheduled, number(meta[3]), number(meta[4]), number(meta[5]),
  oldest and now - oldest or -1,
}
