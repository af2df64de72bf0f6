-- Stores tasks of one queue. Uses record.lua, held.lua, give.lua, place.lua and fresh.lua.
-- Arguments: 1 most tasks that may wait, 0 for no limit; 2 runs of tasks in order as JSON, each its name, priority and
--   length; 3 JSON object, by the number of the task, of what is not plain:
--   [delay, due or false, expires in or false, expires or false, whether to replace]; 4 number of tasks; 5 ids one
--   after the other, if all have the same number of bytes; 6 '1' if all are fresh and rise; then contents (see
--   record.lua, without sequence, creation and times); then the ids if 5 is empty.
-- Result: whether all were accepted; whether it is the first of the queue; if not all, an outcome per task: a,
--   d<existing id>, r<existing id>, or f for a queue that is full; and whether all that came was given to a claim.
-- Cost: O(log n) per task. Repeating it is harmless: an id that is there is a duplicate, whatever was promised of it.
local total, args = tonumber(ARGV[4]), ARGV
local limit = tonumber(ARGV[1])
local runs = cjson.decode(ARGV[2])
local special = ARGV[3] ~= '' and cjson.decode(ARGV[3]) or nil
local packed, isRising = ARGV[5], ARGV[6] == '1'
-- Arguments before the contents.
local BEFORE = 6
local outcomes = nil
local ids = {}
if packed == '' then
  for number = 1, total do
    ids[number] = args[BEFORE + total + number]
  end
else
  local width = #packed / total
  for number = 1, total do
    ids[number] = sub(packed, (number - 1) * width + 1, number * width)
  end
end

local last = call('HMGET', META, 'sequence', 'highest', 'stopped')
local sequence = tonumber(last[1] or 0)
local first = sequence == 0
local highest = last[2] or (first and '')

-- Whether none of the ids can be there, because they rise, and above all of their length that ever were: as those do
-- that are made here of the time. What sorts higher than time makes it look again, for each task. And the highest now.
local function areNew()
  local above = highest or ''
  if isRising then
    return highest and ids[1] > highest, ids[total] > above and ids[total] or above
  end
  for _, id in ipairs(ids) do
    if #id == GENERATED and id > above then
      above = id
    end
  end
  return false, above
end
local new, above = areNew()
-- This needs memory: a server that is full refuses here, before anything is stored.
call('HSET', META, 'sequence', format('%.0f', sequence + total), unpack(highest and { 'highest', above } or {}))
local found = new and {} or fetchMany(TASK, ids)
local room = math.huge
if limit > 0 then
  local waiting = call('HMGET', META, 'pending', 'retrying', 'paused')
  room = limit - tonumber(waiting[1] or 0) - tonumber(waiting[2] or 0) - tonumber(waiting[3] or 0)
end

local function setOutcome(number, outcome)
  if not outcomes then
    outcomes = {}
    for before = 1, total do
      outcomes[before] = 'a'
    end
  end
  outcomes[number] = outcome
end

-- The content with everything the server adds, and when it is due.
local function complete(content, wish, sequence12, created)
  local due = math.min(wish[2] or (now + wish[1]), FURTHEST)
  local expires = wish[4] or (wish[3] and now + wish[3]) or nil
  if due == now and not expires and created == now13 then
    return sequence12 .. now13 .. content, now
  end
  return sequence12 .. created .. sub(content, 1, 1) .. 't' .. sub(content, 3, 4) .. signed(due)
    .. (expires and signed(math.min(expires, FURTHEST)) or NEVER) .. sub(content, 5), due
end

local function replace(owner, content, wish)
  local before = call('HGET', TASK, owner)
  local run = readRun(call('HGET', RUN, owner), before)
  if run.state ~= 'p' and run.state ~= 't' and run.state ~= 'z' then
    return false
  end
  leave(owner, before, run)
  local after, due = complete(content, wish, sub(before, 1, 12), sub(before, 13, 25))
  run.due = due
  keep(owner, run, 'checkpoint', nil)
  keep(owner, run, 'progress', nil)
  call('HSET', TASK, owner, after)
  enter(owner, after, run)
  save(owner, run)
  return true
end

local stored, storedCount = {}, 0
local accepted, biggest = 0, 0
-- Of the tasks that are looked at.
local name, level = nil, nil
local isGiven = false

-- Puts tasks that are due now and follow each other into their line; the first has this sequence.
local function enterLine(from, to, sequence)
  local isUsual = level == USUAL
  local last = isUsual and call('LINDEX', FRESH .. name, -1)
  if not last then
    call('SADD', NAMES, name)
  end
  -- Where the clock was set back, the list would be out of order.
  if isUsual and not (last and sub(last, 13, 25) > now13) then
    callWithMany('RPUSH', FRESH .. name, freshEntries(ids, from, to, sequence))
    return
  end
  local place, members = format('%d', score(level, now)), {}
  for number = from, to do
    members[#members + 1], members[#members + 2] = place, format('%012d', sequence + number - from) .. ids[number]
  end
  callWithMany('ZADD', READY .. name, members)
end

-- A task that comes alone may be given away at once.
local function giveAlone()
  return #ids[1] == GENERATED and not last[3] and biggest <= LARGE and giveToSleeper(name, ids[1], stored[2])
end

-- Tasks in a row that are new, of one name and priority, and without wishes. By far the most frequent kind: with as few
-- calls for each as can be, and with all that is needed at hand.
local function storePlain(from, to)
  if from > to then
    return
  end
  -- The sequence in two texts, see DIGITS.
  local rest = (sequence + from) % 100
  local hundreds = format('%010d', (sequence + from - rest) / 100)
  local ids, args, digits, time, sub = ids, args, DIGITS, now13, sub
  local stored, at, largest = stored, storedCount, biggest
  for number = from, to do
    local content = args[BEFORE + number]
    stored[at + 1] = ids[number]
    stored[at + 2] = hundreds .. sub(digits, rest * 2 + 1, rest * 2 + 2) .. time .. content
    at = at + 2
    if #content > largest then
      largest = #content
    end
    rest = rest + 1
    if rest == 100 then
      rest = 0
      hundreds = format('%010d', (sequence + number + 1) / 100)
    end
  end
  storedCount, biggest, accepted = at, largest, accepted + to - from + 1
  isGiven = total == 1 and giveAlone()
  if not isGiven then
    enterLine(from, to, sequence + from)
    soonest = now
  end
end

-- A task with wishes of its own. Returns its outcome, if it is not accepted.
local function store(number, id, content, wish)
  local key = nil
  if sub(content, 3, 3) ~= '-' then
    -- The content is short of its head here, so its fields begin at 5.
    local from = find(content, '\0', 5, true) + 1
    key = sub(content, from, find(content, '\0', from, true) - 1)
    local owner = call('HGET', KEY, key)
    if owner then
      return (wish[5] and replace(owner, content, wish) and 'r' or 'd') .. owner
    end
  end
  if accepted >= room then
    return 'f'
  end
  biggest = math.max(biggest, #content)
  local sequence12 = format('%012d', sequence + number)
  local whole, due = complete(content, wish, sequence12, now13)
  -- At once: a later task of this call may replace it.
  call('HSET', TASK, id, whole)
  if key then
    call('HSET', KEY, key, id)
  end
  if isReady(due) then
    call('SADD', NAMES, name)
    call('ZADD', READY .. name, score(level, due), sequence12 .. id)
  else
    call('ZADD', LATER, due, sequence12 .. id)
  end
  local expires = expiryOf(whole)
  if expires then
    call('ZADD', EXPIRY, expires, id)
  end
  soonest = math.min(soonest or due, due)
  accepted = accepted + 1
end

-- Tasks in a row that are of one name and priority.
local function storeRun(from, to)
  -- The first of those that came since the last one that was not plain.
  local plainFrom = from
  for number = from, to do
    local wish, outcome = special and special[tostring(number)], nil
    local isFull = accepted + number - plainFrom >= room
    if found[number] or wish or isFull then
      storePlain(plainFrom, number - 1)
      plainFrom = number + 1
      if found[number] then
        outcome = 'd' .. ids[number]
      elseif wish then
        outcome = store(number, ids[number], args[BEFORE + number], wish)
      else
        outcome = 'f'
      end
      if outcome then
        setOutcome(number, outcome)
      end
    end
  end
  storePlain(plainFrom, to)
end

local areAllPlain = new and room == math.huge and not special
local stop = 0
for at = 1, #runs, 3 do
  local start = stop + 1
  name, level, stop = runs[at], runs[at + 1], stop + runs[at + 2]
  if areAllPlain then
    storePlain(start, stop)
  else
    storeRun(start, stop)
  end
end
noteSize(biggest)
callWithMany('HSET', TASK, stored)
if accepted == total and #packed == total * GENERATED then
  -- All in one text: a text each is dear.
  call('RPUSH', UNLISTED, '\0' .. packed)
else
  local unlisted = {}
  for number, id in ipairs(ids) do
    if not outcomes or outcomes[number] == 'a' then
      unlisted[#unlisted + 1] = id
    end
  end
  callWithMany('RPUSH', UNLISTED, unlisted)
end
count('unlisted', accepted)
count(isGiven and 'running' or 'pending', accepted)
conclude()
return { outcomes and 0 or 1, first and 1 or 0, outcomes or {}, isGiven and 1 or 0 }
