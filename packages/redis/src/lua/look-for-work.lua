-- Where in one queue a claim of several would find something. Uses record.lua, held.lua, place.lua and fresh.lua.
-- Arguments: 1 how long the caller will sleep when there is nothing; 2- names.
-- Result: the highest priority that is due for these names, -1 if none is; milliseconds until something may be, -1 for
--   nothing.
-- Cost: O(1) per name, and O(log n) per task that has become due.
mayFinish()
promote(500)
soonest = nil
local best, inMs = -1, -1
if not call('HGET', META, 'stopped') then
  for at = 2, #ARGV do
    local head = call('ZRANGE', READY .. ARGV[at], 0, 0, 'WITHSCORES')
    if head[2] then
      best = math.max(best, 9 - math.floor(tonumber(head[2]) / LEVEL))
    end
    if best < USUAL and freshHead(ARGV[at]) then
      best = USUAL
    end
  end
  for _, line in ipairs({ LATER, BACKOFF }) do
    local head = call('ZRANGE', line, 0, 0, 'WITHSCORES')
    if head[2] then
      local wait = math.max(0, tonumber(head[2]) - now)
      inMs = inMs < 0 and wait or math.min(inMs, wait)
    end
  end
end
local sleepMs = tonumber(ARGV[1])
if best < 0 and sleepMs > 0 then
  local asleep = tonumber(call('HGET', META, 'asleep') or 0)
  if now + sleepMs > asleep then
    call('HSET', META, 'asleep', now + sleepMs)
  end
end
conclude()
return { best, inMs }
