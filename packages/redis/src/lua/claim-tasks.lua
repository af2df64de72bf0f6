-- Gives due tasks of one queue to a session. Uses record.lua and place.lua.
-- Arguments: 1 session; 2 its time to live; 3 whether it may be new to this queue; 4 worker (instance, zero byte, host);
--   5 limit; 6 lowest priority to give; 7 how long the caller will sleep when there is nothing; 8- names.
-- Result: 'lost' for a session that is over; else milliseconds until something is due (-1: nothing is) and, per task,
--   texts: attempt (10) fence (13) due (17) whether there is a checkpoint (1) id; content; the checkpoint, if there is.
-- Cost: O(log n) per task, O(1) per name.
local session, ttl, worker = ARGV[1], tonumber(ARGV[2]), ARGV[4]
local limit, lowest, sleepMs = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])

mayFinish()
local lease = call('ZSCORE', SESSION, session)
if lease then
  if tonumber(lease) <= now then
    return { 'lost' }
  end
elseif ARGV[3] == '1' then
  call('ZADD', SESSION, now + ttl, session)
else
  return { 'lost' }
end

promote(500)
-- Whoever sleeps is woken by what others bring, not by what this claim is about to take.
soonest = nil
local taken = {}
-- How much more may be read into one answer; not counted while this queue holds small tasks only.
local room = largest() > LARGE and MOST_AT_ONCE or nil

-- The first of these whose contents are not too much together; always one, if nothing was taken yet.
local function fitting(members)
  for number, member in ipairs(members) do
    local size = call('HSTRLEN', TASK, sub(member, 13))
    if size > room and (number > 1 or #taken > 0) then
      limit = 0
      return { unpack(members, 1, number - 1) }
    end
    room = math.max(0, room - size)
  end
  return members
end
local paused = call('HGET', META, 'stopped')
local ceiling = format('%.0f', (10 - lowest) * LEVEL - 1)

local function headOf(name)
  local head = call('ZRANGEBYSCORE', READY .. name, '-inf', ceiling, 'WITHSCORES', 'LIMIT', 0, 1)
  if #head == 0 then
    return nil
  end
  return { name = name, member = head[1], score = tonumber(head[2]) }
end

local function comesBefore(first, second)
  if first.score ~= second.score then
    return first.score < second.score
  end
  return first.member < second.member
end

-- Takes from one line, as long as its tasks come before `rival`, the head of another.
local function takeFrom(name, rival)
  local want = limit - #taken
  local line = READY .. name
  local members
  if rival then
    members = {}
    local range = call('ZRANGEBYSCORE', line, '-inf', format('%.0f', rival.score), 'WITHSCORES', 'LIMIT', 0, want)
    for at = 1, #range, 2 do
      if not comesBefore({ score = tonumber(range[at + 1]), member = range[at] }, rival) then
        break
      end
      members[#members + 1] = range[at]
    end
  else
    members = call('ZRANGEBYSCORE', line, '-inf', ceiling, 'LIMIT', 0, want)
  end
  if room then
    members = fitting(members)
  end
  if #members > 0 then
    call('ZREMRANGEBYRANK', line, 0, #members - 1)
  end
  local before = #taken
  for number = 1, #members do
    taken[before + number] = members[number]
  end
  return #members
end

local function take()
  local heads = {}
  for at = 8, #ARGV do
    local head = headOf(ARGV[at])
    if head then
      heads[#heads + 1] = head
    end
  end
  while #heads > 0 and #taken < limit do
    table.sort(heads, comesBefore)
    local name = heads[1].name
    takeFrom(name, heads[2])
    local head = headOf(name)
    if head then
      heads[1] = head
    else
      table.remove(heads, 1)
    end
  end
end

local reply = { -1 }
if not paused then
  take()
end
if #taken > 0 then
  local ids = {}
  for number, member in ipairs(taken) do
    ids[number] = sub(member, 13)
  end
  local contents, runs = fetchMany(TASK, ids), fetchMany(RUN, ids)
  local fence = call('HINCRBY', META, 'fence', #ids) - #ids
  local tail = now13 .. NO_TIME .. '-'
  local saved, held, urgent = {}, {}, {}
  -- Counted by hand: `#` looks for the end of a table each time.
  local given, replied = 0, 1
  local pending, retrying = 0, 0

  -- Whether a task of the line may be given; it has left the line in any case.
  local function mayBeGiven(content, state, due, member)
    if not content or (state ~= 'p' and state ~= 't') then
      -- Left in the line by something that went wrong: taken out, and no other task suffers.
      return false
    end
    local expires = expiryOf(content)
    if expires and expires <= now then
      -- An expired task leaves the line here and waits for maintenance, which ends it.
      return false
    end
    if sub(due, 1, 1) == '+' and due > '+000' .. now13 then
      -- The clock was set back after the task had become due: never early holds all the same.
      call('ZADD', state == 'p' and LATER or BACKOFF, tonumber(due), member)
      return false
    end
    if expires then
      urgent[#urgent + 1] = sub(member, 13)
    end
    return true
  end

  local function give(id, content, checkpoint, lease, run)
    given = given + 1
    saved[given * 2 - 1], saved[given * 2] = id, run
    held[given] = id
    reply[replied + 1], reply[replied + 2] = lease .. (checkpoint and '1' or '0') .. id, content
    replied = replied + 2
    if checkpoint then
      replied = replied + 1
      reply[replied] = checkpoint
    end
  end

  -- A task with a past, a key or times of its own.
  local function consider(id, content, before, member, fence13)
    local state, due, attempt, marks, key = 'p', nil, '0000000001', '00000', '0'
    if before then
      state, due = sub(before, 1, 1), sub(before, 44, 60)
      attempt = format('%010d', tonumber(sub(before, 5, 14)) + 1)
      marks, key = sub(before, 88, 92), sub(before, 4, 4)
    elseif content then
      due = firstDueOf(content)
      if sub(content, 28, 28) ~= '-' then
        key = '1'
      end
    end
    if not mayBeGiven(content, state, due, member) then
      return
    end
    if state == 'p' then
      pending = pending + 1
    else
      retrying = retrying + 1
    end
    if key == '1' and sub(content, 28, 28) == 's' then
      freeKey(id, content, { key = '1' })
      key = '0'
    end
    local checkpoint = sub(marks, 3, 3) == '1' and call('HGET', MORE, 'k' .. id) or nil
    give(id, content, checkpoint, attempt .. fence13 .. due,
      'r-0' .. key .. attempt .. fence13 .. session .. due .. tail .. marks .. worker)
  end

  local afterDue = tail .. '00000' .. worker
  for number = 1, #ids do
    local id, content = ids[number], contents[number]
    local fence13 = format('%013d', fence + number)
    if content and not runs[number] and sub(content, 27, 28) == 'n-' and sub(content, 13, 25) <= now13 then
      -- By far the most frequent kind: due when it was created, and never claimed before.
      local due = '+000' .. sub(content, 13, 25)
      pending = pending + 1
      given = given + 1
      saved[given * 2 - 1] = id
      saved[given * 2] = 'r-000000000001' .. fence13 .. session .. due .. afterDue
      held[given] = id
      reply[replied + 1], reply[replied + 2] = '0000000001' .. fence13 .. due .. '0' .. id, content
      replied = replied + 2
    else
      consider(id, content, runs[number], taken[number], fence13)
    end
  end
  callWithMany('ZREM', EXPIRY, urgent)
  callWithMany('HSET', RUN, saved)
  callWithMany('SADD', HELD .. session, held)
  count('pending', -pending)
  count('retrying', -retrying)
  count('running', pending + retrying)
end
if #reply == 1 then
  if not paused then
    for _, line in ipairs({ LATER, BACKOFF }) do
      local head = call('ZRANGE', line, 0, 0, 'WITHSCORES')
      if head[2] then
        local inMs = math.max(0, tonumber(head[2]) - now)
        reply[1] = reply[1] < 0 and inMs or math.min(reply[1], inMs)
      end
    end
    -- Something was in line that this claim could not take out in one go, or that was thrown out.
    if #taken > 0 then
      reply[1] = 0
    end
  end
  if sleepMs > 0 then
    local asleep = tonumber(call('HGET', META, 'asleep') or 0)
    if now + sleepMs > asleep then
      call('HSET', META, 'asleep', now + sleepMs)
    end
  end
end
conclude()
return reply
