-- Library after take.lua and give.lua: gives due tasks of one queue to a session, up to but not with `conclude`.
-- Arguments of the script, from the first to the last given: session; its time to live; 1 if it may be new to this queue;
--   worker (instance, zero byte, host); limit; lowest priority to give; how long the caller will sleep when there is
--   nothing; listener (16) to which it may be given a task while it sleeps, or empty; names.
-- Result: 'lost' for a session that is over; else milliseconds until something is due (-1: nothing is); a fence; the ids
--   of those that have it, one after the other; and, per task, its content: by itself if the next of those ids is its
--   own, it was due when it was created and this is its first attempt; else after a text of a zero byte, attempt (10)
--   fence (13) due (17) whether there is a checkpoint (1) id, and before the checkpoint, if there is.
-- Cost: O(log n) per task, O(1) per name.
local function claimDue(from, to)
  local session, ttl, isNew, worker = ARGV[from], tonumber(ARGV[from + 1]), ARGV[from + 2] == '1', ARGV[from + 3]
  local limit, lowest, sleepMs = tonumber(ARGV[from + 4]), tonumber(ARGV[from + 5]), tonumber(ARGV[from + 6])
  local listener = ARGV[from + 7]
  local sleeper = listener ~= '' and sleeperOf(session, listener, from + 8, to)
  if sleeper then
    wakeUp(sleeper)
  end

  local lease = call('ZSCORE', SESSION, session)
  if lease then
    if tonumber(lease) <= now then
      return { 'lost' }
    end
  elseif isNew then
    call('ZADD', SESSION, now + ttl, session)
    call('HSET', WORKER, session, worker)
  else
    return { 'lost' }
  end

  -- Whoever sleeps is woken by what others bring, not by what this claim is about to take.
  local brought = soonest
  promote(500)
  soonest = brought
  local voided = voidPlaces() > 0
  local paused = call('HGET', META, 'stopped')
  local reply = { -1, 0, '' }
  local taken, fromLists, ids, sequences, created = 0, 0, nil, nil, nil
  if not paused then
    taken, fromLists, ids, sequences, created = takeDue(from + 8, to, limit, lowest)
  end
  if taken > 0 then
    local contents = fetchMany(TASK, ids)
    -- A fresh task has no run, unless its place is void.
    local runs = (voided or fromLists < taken) and fetchMany(RUN, ids) or {}
    -- One for all plain tasks, one each for others.
    local fence = call('HINCRBY', META, 'fence', taken + 1) - taken
    reply[2] = fence
    local tail = now13 .. NO_TIME .. '-'
    local saved, urgent, alone = {}, {}, {}
    -- Counted by hand: `#` looks for the end of a table each time.
    local given, replied, plainCount = 0, 3, 0
    local plain = {}
    local pending, retrying = 0, 0

    -- Whether a task of the line may be given; it has left the line in any case.
    local function mayBeGiven(id, content, state, due)
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
        call('ZADD', state == 'p' and LATER or BACKOFF, tonumber(due), memberOf(id, content))
        return false
      end
      if expires then
        urgent[#urgent + 1] = id
      end
      return true
    end

    local function give(id, content, checkpoint, lease, run)
      given = given + 1
      saved[given * 2 - 1], saved[given * 2] = id, run
      alone[#alone + 1] = id
      reply[replied + 1], reply[replied + 2] = '\0' .. lease .. (checkpoint and '1' or '0') .. id, content
      replied = replied + 2
      if checkpoint then
        replied = replied + 1
        reply[replied] = checkpoint
      end
    end

    -- A task with a past, a key or times of its own.
    local function consider(id, content, before, fence13)
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
      if not mayBeGiven(id, content, state, due) then
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

    -- Whether tasks created at the same instant are due.
    local instant, isDue = nil, false
    local claim = format('%013d', fence)
    local plainRun = 'r-000000000001' .. claim .. session .. now13
    -- Characters as numbers: cutting out a text is dear.
    local byte = string.byte
    local PLAIN, KEYLESS = byte('n-', 1, 2)
    local function isPlain(content)
      local timing, key = byte(content, 27, 28)
      return timing == PLAIN and key == KEYLESS
    end
    for number = 1, taken do
      local id, content, sequence = ids[number], contents[number], sequences[number]
      local createdThen = created[number] or (content and sub(content, 13, 25))
      if createdThen and createdThen ~= instant then
        instant, isDue = createdThen, createdThen <= now13
      end
      if voided and sequence and isVoid(sequence, content, runs[number]) then
        count('void', -1)
      elseif content and isDue and not runs[number] and (sequence or isPlain(content)) and #id == GENERATED then
        -- By far the most frequent kind: due when it was created, never claimed before, and with an id made here.
        pending = pending + 1
        given = given + 1
        saved[given * 2 - 1], saved[given * 2] = id, plainRun
        plainCount = plainCount + 1
        plain[plainCount] = id
        replied = replied + 1
        reply[replied] = content
      else
        consider(id, content, runs[number], format('%013d', fence + number))
      end
    end
    holdAlone(session, alone)
    if plainCount > 0 then
      reply[3] = table.concat(plain)
      holdTogether(session, claim, reply[3], plainCount)
    end
    callWithMany('ZREM', EXPIRY, urgent)
    callWithMany('HSET', RUN, saved)
    count('pending', -pending)
    count('retrying', -retrying)
    count('running', pending + retrying)
  end
  if #reply == 3 then
    if not paused then
      for _, line in ipairs({ LATER, BACKOFF }) do
        local head = call('ZRANGE', line, 0, 0, 'WITHSCORES')
        if head[2] then
          local inMs = math.max(0, tonumber(head[2]) - now)
          reply[1] = reply[1] < 0 and inMs or math.min(reply[1], inMs)
        end
      end
      -- Something was in line that this claim could not take out in one go, or that was thrown out.
      if taken > 0 then
        reply[1] = 0
      end
    end
    if sleepMs > 0 then
      local asleep = tonumber(call('HGET', META, 'asleep') or 0)
      if now + sleepMs > asleep then
        call('HSET', META, 'asleep', now + sleepMs)
      end
      if sleeper and not paused then
        sleepUntil(sleeper, now + (reply[1] >= 0 and math.min(reply[1], sleepMs) or sleepMs))
      end
    end
  end
  return reply
end
