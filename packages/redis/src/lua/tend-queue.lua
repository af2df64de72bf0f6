-- A bounded round of maintenance in one queue: makes due tasks ready, takes tasks back from silent sessions, ends
-- expired tasks, removes old ones. Uses record.lua, held.lua, place.lua, fresh.lua and end-run.lua.
-- Arguments: 1 most tasks per kind of work; 2 token; 3 how long succeeded and cancelled tasks are kept and 4 failed
--   ones, milliseconds, -1 for ever; 5 and 6 how many of each are kept, -1 for all; 7 failure of a lost run, without its
--   closing brace; 8 failure of an expired task.
-- Result: tasks taken back, expired, removed; whether there is more to do.
-- Cost: O(log n) per task moved.
local most, token = tonumber(ARGV[1]), ARGV[2]
local more = 0
mayFinish()
if promote(most) >= most then
  more = 1
end

local reclaimed = 0

local function takeBack(id, content, run)
  local most = fieldsOf(content)[5]
  local last = most ~= '' and run.attempt >= tonumber(most)
  if last and run.begun == '0' then
    endRun(id, content, run, 'r', token)
    return
  end
  -- Whatever is stored by mistake must not keep others from coming back.
  local stop = find(run.worker, '\0', 1, true) or 1
  local instance = sub(run.worker, 1, stop - 1)
  local failure = ARGV[7] .. ',"worker":' .. cjson.encode(instance) .. '}'
  if last then
    endRun(id, content, run, 'f', token, nil, 'l', failure)
  else
    endRun(id, content, run, 'l', token, 0, nil, failure)
  end
end

for _, session in ipairs(call('ZRANGEBYSCORE', SESSION, '-inf', now, 'LIMIT', 0, 20)) do
  local holdsMore = false
  eachHeld(session, function(id, text, content)
    if reclaimed >= most then
      holdsMore = true
      return true
    end
    takeBack(id, content, readRun(text, content))
    reclaimed = reclaimed + 1
  end)
  if holdsMore then
    more = 1
    break
  end
  forgetSession(session)
end
local nextSession = call('ZRANGE', SESSION, 0, 0, 'WITHSCORES')
if nextSession[2] and tonumber(nextSession[2]) <= now then
  more = 1
end

local expired = 0
for _, id in ipairs(call('ZRANGEBYSCORE', EXPIRY, '-inf', now, 'LIMIT', 0, most)) do
  local content = call('HGET', TASK, id)
  if content then
    local run = readRun(call('HGET', RUN, id), content)
    leave(id, content, run)
    run.state, run.failure = 'f', 'x'
    finish(id, content, run)
    appendError(id, run, ARGV[8])
    enter(id, content, run)
    save(id, run)
    expired = expired + 1
  else
    call('ZREM', EXPIRY, id)
  end
end
if expired >= most then
  more = 1
end

local pruned = 0

-- Removes ended tasks that have left their line. All at once, for half of what a call for each thing they have costs:
-- a queue that is full of ended tasks removes as many as it runs.
local function remove(ids, field)
  local runs = fetchMany(RUN, ids)
  local gone, extras = {}, {}
  for number, id in ipairs(ids) do
    local text = runs[number]
    -- Whatever is in a line by mistake must not be lost with it.
    if text and counted[sub(text, 1, 1)] == field then
      gone[#gone + 1] = id
      if sub(text, 88, 92) ~= '00000' then
        for mark = 1, 5 do
          extras[#extras + 1] = markLetters[mark] .. id
        end
      end
    end
  end
  callWithMany('HDEL', MORE, extras)
  callWithMany('HDEL', TASK, gone)
  callWithMany('HDEL', RUN, gone)
  callWithMany('ZREM', INDEX, gone)
  count(field, -#gone)
  dropped = dropped + #gone
  for _, id in ipairs(gone) do
    ended[#ended + 1] = id
  end
end

-- Takes what is old, or too much, off the head of a line of ended tasks.
local function prune(line, field, keptMs, keptCount)
  local excess = keptCount >= 0 and tonumber(call('HGET', META, field) or 0) - keptCount or 0
  local ids = {}
  while pruned < most do
    local entry, finished = unpack(call('ZRANGE', line, 0, 0, 'WITHSCORES'))
    local isOld = entry and keptMs >= 0 and tonumber(finished) <= now - keptMs
    if not entry or not (isOld or excess > 0) then
      break
    end
    local together = idsIn(entry)
    local total = math.min(#together, most - pruned, isOld and #together or excess)
    call('ZREM', line, entry)
    if total < #together then
      call('ZADD', line, finished, entryOf(together, total + 1))
    end
    for number = 1, total do
      ids[#ids + 1] = together[number]
    end
    pruned, excess = pruned + total, excess - total
  end
  if pruned >= most then
    more = 1
  end
  remove(ids, field)
end

-- Void entries must not pile up where nobody claims.
if hasTooManyVoid() and sortInAll(most) > 0 then
  more = 1
end

prune(DONE, 'done', tonumber(ARGV[3]), tonumber(ARGV[5]))
if pruned < most then
  prune(DEAD, 'dead', tonumber(ARGV[4]), tonumber(ARGV[6]))
end
conclude()
return { reclaimed, expired, pruned, more }
