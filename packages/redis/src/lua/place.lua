-- Library after held.lua: keeps a queue's lines, sets and counters true while tasks change, and tells those who
-- sleep. Whoever changes a task takes it out with `leave`, changes it, and puts it back with `enter`.
--
-- Redis refuses a script for want of memory at its first write only. `mayFinish` makes a write that needs none the
-- first one, for scripts that lead to tasks being ended: workers can then empty a server that is full.
local counts = {}
local soonest = nil
local ended = {}
local dropped = 0
local counted = { p = 'pending', t = 'retrying', r = 'running', z = 'paused', s = 'done', c = 'done', f = 'dead' }
local markNumbers = { output = 1, progress = 2, checkpoint = 3, errors = 4, log = 5 }
local markLetters = { 'o', 'g', 'k', 'e', 'l' }

local function noteSize(bytes)
  if bytes > LARGE and bytes > largest() then
    call('HSET', META, 'largest', bytes)
  end
end

local function mayFinish()
  call('ZREM', SESSION, '')
end

local function count(field, by)
  counts[field] = (counts[field] or 0) + by
end

local function isReady(due)
  return due <= now
end

-- The ids in an entry: one, or those of a batch after a zero byte.
local function idsIn(entry)
  if sub(entry, 1, 1) ~= '\0' then
    return { entry }
  end
  local ids = {}
  for from = 2, #entry, GENERATED do
    ids[#ids + 1] = sub(entry, from, from + GENERATED - 1)
  end
  return ids
end

-- Ids in an entry, from one of them on.
local function entryOf(ids, from)
  if #ids == from then
    return ids[from]
  end
  return '\0' .. table.concat(ids, '', from)
end

-- Takes an ended task out of its line. What ended together may stand there as one entry.
local function leaveEnded(line, id, finished)
  if call('ZREM', line, id) == 1 then
    return
  end
  for _, entry in ipairs(call('ZRANGEBYSCORE', line, finished, finished)) do
    local ids, others = idsIn(entry), {}
    for _, other in ipairs(ids) do
      if other ~= id then
        others[#others + 1] = other
      end
    end
    if #others < #ids then
      call('ZREM', line, entry)
      call('ZADD', line, finished, entryOf(others, 1))
      return
    end
  end
end

local function enter(id, content, run)
  local state = run.state
  if counted[state] then
    count(counted[state], 1)
  end
  if state == 'p' or state == 't' then
    if isReady(run.due) then
      local name = nameOf(content)
      call('SADD', NAMES, name)
      call('ZADD', READY .. name, score(priorityOf(content), run.due), memberOf(id, content))
    else
      call('ZADD', state == 'p' and LATER or BACKOFF, run.due, memberOf(id, content))
    end
    soonest = math.min(soonest or run.due, run.due)
  elseif state == 'z' then
    call('SADD', PAUSED, id)
  elseif state == 's' or state == 'c' then
    call('ZADD', DONE, tonumber(run.finished), id)
  elseif state == 'f' then
    call('ZADD', DEAD, tonumber(run.finished), id)
  end
  if state == 'p' or state == 't' or state == 'z' then
    local expires = expiryOf(content)
    if expires then
      call('ZADD', EXPIRY, expires, id)
    end
  end
end

local function leave(id, content, run)
  local state = run.state
  if counted[state] then
    count(counted[state], -1)
  end
  if state == 'p' or state == 't' then
    -- Promotion may lag behind the due time, so a due task is in one of the two.
    local member = memberOf(id, content)
    local found = call('ZREM', READY .. nameOf(content), member)
      + call('ZREM', state == 'p' and LATER or BACKOFF, member)
    if found == 0 and run.isNew and sub(content, 26, 28) == USUAL .. 'n-' then
      -- Its entry stays in the list of fresh tasks; see fresh.lua.
      count('void', 1)
    end
  elseif state == 'z' then
    call('SREM', PAUSED, id)
  elseif state == 'r' then
    letGo(id, run)
    if run.requested ~= '-' then
      call('SREM', STOP .. run.holder, id)
    end
  elseif state == 's' or state == 'c' then
    leaveEnded(DONE, id, tonumber(run.finished))
  elseif state == 'f' then
    leaveEnded(DEAD, id, tonumber(run.finished))
  end
  if (state == 'p' or state == 't' or state == 'z') and expiryOf(content) then
    call('ZREM', EXPIRY, id)
  end
end

local function freeKey(id, content, run)
  if run.key == '1' then
    local key = fieldsOf(content)[2]
    if call('HGET', KEY, key) == id then
      call('HDEL', KEY, key)
    end
    run.key = '0'
  end
end

local function setMark(run, what, value)
  local number = markNumbers[what]
  run.marks = sub(run.marks, 1, number - 1) .. value .. sub(run.marks, number + 1)
end

local function hasMark(run, what)
  local number = markNumbers[what]
  return sub(run.marks, number, number) == '1'
end

-- What is kept beside a task: output, progress, checkpoint, errors, log. `nil` takes it away.
local function keep(id, run, what, value)
  local field = markLetters[markNumbers[what]] .. id
  if value then
    call('HSET', MORE, field, value)
    setMark(run, what, '1')
  elseif hasMark(run, what) then
    call('HDEL', MORE, field)
    setMark(run, what, '0')
  end
end

local function kept(id, run, what)
  return hasMark(run, what) and call('HGET', MORE, markLetters[markNumbers[what]] .. id) or nil
end

-- Entries are texts without line breaks. The latest ones are kept.
local function appendLines(id, run, what, lines, most)
  local before = kept(id, run, what)
  local all = before and (before .. '\n' .. lines) or lines
  local _, breaks = string.gsub(all, '\n', '')
  local from = 1
  for _ = 1, breaks + 1 - most do
    from = find(all, '\n', from, true) + 1
  end
  keep(id, run, what, sub(all, from))
end

-- `failure` is a JSON object; when and on which attempt it happened is added to it.
local function appendError(id, run, failure)
  local line = '{"attempt":' .. format('%.0f', run.attempt) .. ',"at":' .. format('%.0f', now) .. ',' .. sub(failure, 2)
  appendLines(id, run, 'errors', line, 10)
end

local function drop(id, content, run)
  leave(id, content, run)
  freeKey(id, content, run)
  for number = 1, 5 do
    if sub(run.marks, number, number) == '1' then
      call('HDEL', MORE, markLetters[number] .. id)
    end
  end
  call('HDEL', TASK, id)
  call('HDEL', RUN, id)
  call('ZREM', INDEX, id)
  dropped = dropped + 1
  ended[#ended + 1] = id
end

-- Puts a task whose state was set to an end to rest.
local function finish(id, content, run)
  run.finished = now13
  freeKey(id, content, run)
  ended[#ended + 1] = id
end

local function save(id, run)
  if run.claim then
    -- It is written down whole now, so it stands for itself.
    letGo(id, run)
    holdAlone(run.holder, { id })
  end
  call('HSET', RUN, id, writeRun(run))
end

-- Moves what has become due to where claims look: at most `most` of each kind, so that no call takes long.
local function promote(most)
  local moved = 0
  for _, line in ipairs({ LATER, BACKOFF }) do
    local due = call('ZRANGEBYSCORE', line, '-inf', now, 'WITHSCORES', 'LIMIT', 0, most)
    if #due > 0 then
      local members, ids = {}, {}
      for at = 1, #due, 2 do
        members[#members + 1] = due[at]
        ids[#ids + 1] = sub(due[at], 13)
      end
      callWithMany('ZREM', line, members)
      local contents = fetchMany(TASK, ids)
      for number, content in ipairs(contents) do
        if content then
          local name = nameOf(content)
          call('SADD', NAMES, name)
          call('ZADD', READY .. name, score(priorityOf(content), tonumber(due[number * 2])), members[number])
        end
      end
      moved = moved + #ids
      soonest = now
    end
  end
  return moved
end

-- How many ids are not in the index yet.
local function unlistedIds()
  return tonumber(call('HGET', META, 'unlisted') or 0)
end

-- Puts ids that enqueueing left for later into the index, the longest waiting first: at least `most` of them, or all, and
-- less than four batches more. Returns how many it looked at. Its first write needs no memory.
local function completeIndex(most)
  local entries, looked = {}, 0
  local function look(id)
    looked = looked + 1
    -- Many are gone before anybody wants a listing.
    if call('HEXISTS', TASK, id) == 1 then
      entries[#entries + 1], entries[#entries + 2] = '0', id
    end
  end
  while looked < most do
    local waiting = call('LPOP', UNLISTED, 4)
    if not waiting then
      break
    end
    for _, entry in ipairs(waiting) do
      for _, id in ipairs(idsIn(entry)) do
        look(id)
      end
    end
  end
  callWithMany('ZADD', INDEX, entries)
  count('unlisted', -looked)
  return looked
end

-- Whether somebody waits for tasks to end.
local function isAwaited()
  return tonumber(call('HGET', META, 'awaited') or 0) > now
end

-- Writes the counters and tells whoever sleeps or waits. The last thing a script does.
local function conclude()
  if dropped > 0 then
    -- No more ids wait for the index than there are tasks: so those that are gone do not pile up.
    local excess = unlistedIds() - call('HLEN', TASK)
    if excess > 0 then
      completeIndex(excess)
    end
  end
  for field, by in pairs(counts) do
    if by ~= 0 then
      call('HINCRBY', META, field, by)
    end
  end
  if soonest then
    local asleep = tonumber(call('HGET', META, 'asleep') or 0)
    if asleep > now and soonest <= asleep then
      call('HSET', META, 'asleep', 0)
      -- They look by themselves now, for something that came before what is enqueued next.
      call('DEL', ASLEEP)
      call('PUBLISH', base .. ':work', '')
    end
  end
  if #ended > 0 and isAwaited() then
    call('PUBLISH', base .. ':ended', cjson.encode(ended))
  end
end
