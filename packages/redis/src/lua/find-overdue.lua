-- Tasks of one queue that wait although they have been due for some time. Uses record.lua, held.lua, place.lua and fresh.lua.
-- Arguments: 1 due for how long, milliseconds; 2 most tasks.
-- Result: per task, the one due longest first: its name; its priority (1) and id. None of a queue that is paused, and
--   none that is over its time.
-- Cost: O(log n) per name in use and priority, and per task found; O(log n) per task that has become due since anybody
--   looked. So a million tasks that wait cost what a thousand do.
local latest, limit = now - tonumber(ARGV[1]), tonumber(ARGV[2])
if latest < 0 or call('HGET', META, 'stopped') then
  return {}
end
mayFinish()
-- Only what is in line is looked at: enough of what has become due has to be there.
for _ = 1, limit, 500 do
  if promote(500) < 500 then
    break
  end
end

local names = call('SMEMBERS', NAMES)
for _, name in ipairs(names) do
  sortIn(name, limit, latest)
end

-- A line's tasks of one priority. Those with the longest wait come first, so the others can be left out early.
local lines = {}
for _, name in ipairs(names) do
  for level = 0, 9 do
    local from = level * LEVEL
    local head = call('ZRANGEBYSCORE', READY .. name, format('%.0f', from), format('%.0f', from + latest), 'WITHSCORES',
      'LIMIT', 0, 1)
    if head[2] then
      lines[#lines + 1] = { name = name, priority = 9 - level, from = from, oldest = tonumber(head[2]) - from }
    end
  end
end
table.sort(lines, function(first, second)
  return first.oldest < second.oldest
end)

local found, origins = {}, {}
local function cut()
  table.sort(found)
  for number = #found, limit + 1, -1 do
    origins[found[number]] = nil
    found[number] = nil
  end
  if #found == limit then
    latest = math.min(latest, tonumber(sub(found[limit], 1, 14)))
  end
end

local expiring = call('ZCARD', EXPIRY) > 0
for _, line in ipairs(lines) do
  if line.oldest > latest then
    break
  end
  local from, to = format('%.0f', line.from), format('%.0f', line.from + latest)
  local range = call('ZRANGEBYSCORE', READY .. line.name, from, to, 'WITHSCORES', 'LIMIT', 0, limit)
  for at = 1, #range, 2 do
    local member = range[at]
    local expires = expiring and call('ZSCORE', EXPIRY, sub(member, 13)) or nil
    if not expires or tonumber(expires) > now then
      -- In the order of texts: due time, then the order of storing.
      local place = format('%014.0f', tonumber(range[at + 1]) - line.from) .. member
      found[#found + 1] = place
      origins[place] = line
    end
  end
  if #found > 2 * limit then
    cut()
  end
end
cut()
conclude()
local reply = {}
for number, place in ipairs(found) do
  local line = origins[place]
  reply[number * 2 - 1] = line.name
  reply[number * 2] = format('%d', line.priority) .. sub(place, 27)
end
return reply
