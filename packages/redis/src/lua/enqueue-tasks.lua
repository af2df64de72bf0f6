-- Stores tasks of one queue. Uses record.lua, held.lua, give.lua, place.lua and fresh.lua.
-- Arguments: 1 most tasks that may wait, 0 for no limit; 2 names in order as JSON, each with how many tasks in a row
--   have it; 3 JSON object, by the number of the task, of what is not plain:
--   [delay, due or false, expires in or false, expires or false, whether to replace]; 4 number of tasks; 5 ids one
--   after the other, if all have the same number of bytes; then contents (see record.lua, without sequence, creation
--   and times); then the ids if 5 is empty.
-- Result: whether all were accepted; whether it is the first of the queue; if not all, an outcome per task: a,
--   d<existing id>, r<existing id>, or f for a queue that is full; and whether all that came was given to a claim.
-- Cost: O(log n) per task. Repeating it is harmless: an id that is there is a duplicate, whatever was promised of it.
local total = tonumber(ARGV[4])
local limit = tonumber(ARGV[1])
local names = cjson.decode(ARGV[2])
local special = ARGV[3] ~= '' and cjson.decode(ARGV[3]) or nil
local outcomes = nil
local ids = {}
local packed = ARGV[5]
if packed == '' then
  for number = 1, total do
    ids[number] = ARGV[5 + total + number]
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
  local new, above = packed ~= '' and highest, highest or ''
  for number = 1, total do
    local id = ids[number]
    if #id == GENERATED and id > above then
      above = id
    else
      new = false
    end
  end
  return new, above
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
  local due, expires = now, nil
  if wish then
    due = math.min(wish[2] or (now + wish[1]), FURTHEST)
    expires = wish[4] or (wish[3] and now + wish[3]) or nil
  end
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

local stored, unlisted, line, fresh = {}, {}, {}, {}
-- Counted by hand: `#` looks for the end of a table each time.
local storedCount, lineCount, freshCount = 0, 0, 0
local accepted, biggest = 0, 0
-- A task that comes alone may be given away at once.
local mayBeGiven, isGiven = total == 1 and #packed == GENERATED and not last[3], false
local run, runLeft, name = 0, 0, nil
-- Scores of tasks due now, by the character of their priority: numbers are written out at each call, texts are not.
local byte = string.byte
local USUAL_BYTE = USUAL + 48
local nowScores = {}

local function scoreOf(level)
  nowScores[level] = format('%d', score(level - 48, now))
  return nowScores[level]
end

local function flushLine()
  if freshCount > 0 then
    local last = call('LINDEX', FRESH .. name, -1)
    if not last then
      call('SADD', NAMES, name)
    end
    if last and sub(last, 13, 25) > now13 then
      -- The clock was set back: the list would be out of order.
      for _, entry in ipairs(fresh) do
        line[lineCount + 1], line[lineCount + 2] = format('%d', freshScore(entry)), sub(entry, 1, 12) .. sub(entry, 26)
        lineCount = lineCount + 2
      end
    else
      callWithMany('RPUSH', FRESH .. name, fresh)
    end
    fresh, freshCount = {}, 0
  end
  if lineCount > 0 then
    call('SADD', NAMES, name)
    callWithMany('ZADD', READY .. name, line)
    line, lineCount = {}, 0
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
  local sequence12 = format('%012d', sequence + number)
  local whole, due = complete(content, wish, sequence12, now13)
  -- At once: a later task of this call may replace it.
  call('HSET', TASK, id, whole)
  if key then
    call('HSET', KEY, key, id)
  end
  if isReady(due) then
    line[lineCount + 1], line[lineCount + 2] = format('%d', score(tonumber(sub(content, 1, 1)), due)), sequence12 .. id
    lineCount = lineCount + 2
    if key then
      flushLine()
    end
  else
    call('ZADD', LATER, due, sequence12 .. id)
  end
  local expires = expiryOf(whole)
  if expires then
    call('ZADD', EXPIRY, expires, id)
  end
  soonest = math.min(soonest or due, due)
  accepted = accepted + 1
  unlisted[accepted] = id
end

-- The sequence in two texts, see DIGITS.
local rest = (sequence + 1) % 100
local hundreds = format('%010d', (sequence + 1 - rest) / 100)

for number = 1, total do
  if runLeft == 0 then
    flushLine()
    run = run + 1
    name, runLeft = names[run * 2 - 1], names[run * 2]
  end
  runLeft = runLeft - 1
  local id, content = ids[number], ARGV[5 + number]
  local wish = special and special[tostring(number)]
  if #content > biggest then
    biggest = #content
  end
  if found[number] then
    setOutcome(number, 'd' .. id)
  elseif wish then
    local outcome = store(number, id, content, wish)
    if outcome then
      setOutcome(number, outcome)
    end
  elseif accepted >= room then
    setOutcome(number, 'f')
  else
    local sequence12 = hundreds .. sub(DIGITS, rest * 2 + 1, rest * 2 + 2)
    local head, level = sequence12 .. now13, byte(content)
    -- By far the most frequent kind: written out, with as few calls as can be.
    stored[storedCount + 1], stored[storedCount + 2] = id, head .. content
    storedCount = storedCount + 2
    if mayBeGiven and #content <= LARGE and giveToSleeper(name, id, head .. content) then
      isGiven = true
    elseif level == USUAL_BYTE then
      freshCount = freshCount + 1
      fresh[freshCount] = head .. id
    else
      line[lineCount + 1], line[lineCount + 2] = nowScores[level] or scoreOf(level), sequence12 .. id
      lineCount = lineCount + 2
    end
    accepted = accepted + 1
    unlisted[accepted] = id
  end
  rest = rest + 1
  if rest == 100 then
    rest = 0
    hundreds = format('%010d', (sequence + number + 1) / 100)
  end
end
flushLine()
if storedCount > 0 and not isGiven then
  soonest = now
end
noteSize(biggest)
callWithMany('HSET', TASK, stored)
if accepted == total and #packed == total * GENERATED then
  -- All in one text: a text each is dear.
  call('RPUSH', UNLISTED, '\0' .. packed)
else
  callWithMany('RPUSH', UNLISTED, unlisted)
end
count('unlisted', accepted)
count(isGiven and 'running' or 'pending', accepted)
conclude()
return { outcomes and 0 or 1, first and 1 or 0, outcomes or {}, isGiven and 1 or 0 }
