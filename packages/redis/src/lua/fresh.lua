-- Library after place.lua: the lists of fresh tasks. Such a task was due when it was enqueued, has the usual priority and
-- no key, and nothing has been done to it. A list costs a quarter of what a sorted set does, to fill and to empty.
--
-- An entry is sequence (12) created (13) and either ids as they are made here, of which each has the next sequence, or a
-- zero byte and one id of another length. A list is in the order of both: what would break that order enters the sorted
-- set. Tasks leave a list at its head only. Whatever else happens to one of them leaves its place behind, void: the task
-- has a run then, or is gone, or another one has its id. META counts void places; while there are none, nobody looks for
-- them.
local MOST_VOID = 1000
-- An entry each is dear, and what a claim leaves of one is written again.
local MOST_IN_ENTRY = 10

local function sizeOf(entry)
  return sub(entry, 26, 26) == '\0' and 1 or (#entry - 25) / GENERATED
end

-- Without the first few ids.
local function restOf(entry, taken)
  return format('%012d', tonumber(sub(entry, 1, 12)) + taken) .. sub(entry, 13, 25) .. sub(entry, 26 + taken * GENERATED)
end

-- Of tasks of one call, from one of them to another, the first with this sequence.
local function freshEntries(ids, from, to, sequence)
  local entries, first = {}, from
  while first <= to do
    local isOurs, last = #ids[first] == GENERATED, first
    while isOurs and last < to and last - first + 1 < MOST_IN_ENTRY and #ids[last + 1] == GENERATED do
      last = last + 1
    end
    local place = format('%012d', sequence + first - from) .. now13
    entries[#entries + 1] = place .. (isOurs and table.concat(ids, '', first, last) or '\0' .. ids[first])
    first = last + 1
  end
  return entries
end

-- Looks at so many tasks at the head of a list, or some more: entries; ids; the sequence of each, and when it was created.
local function readFresh(list, most)
  local entries, found, want = nil, 0, math.ceil(math.max(1, most) / MOST_IN_ENTRY)
  repeat
    entries, found = call('LRANGE', list, 0, want - 1), 0
    for _, entry in ipairs(entries) do
      found = found + sizeOf(entry)
    end
    local isEnough = found >= most or #entries < want
    want = math.ceil(want * most / math.max(found, 1)) + 1
  until isEnough
  local ids, sequences, created, total = {}, {}, {}, 0
  for _, entry in ipairs(entries) do
    local sequence, instant = tonumber(sub(entry, 1, 12)), sub(entry, 13, 25)
    if sub(entry, 26, 26) == '\0' then
      total = total + 1
      ids[total], sequences[total], created[total] = sub(entry, 27), sequence, instant
    else
      for at = 26, #entry, GENERATED do
        total = total + 1
        ids[total], sequences[total], created[total] = sub(entry, at, at + GENERATED - 1), sequence, instant
        sequence = sequence + 1
      end
    end
  end
  return entries, ids, sequences, created
end

-- Takes so many tasks off the head of a list that begins with these entries.
local function discard(list, entries, total)
  local whole, left = 0, total
  while left > 0 and sizeOf(entries[whole + 1]) <= left do
    whole = whole + 1
    left = left - sizeOf(entries[whole])
  end
  if whole > 0 then
    call('LTRIM', list, whole, -1)
  end
  if left > 0 then
    call('LSET', list, 0, restOf(entries[whole + 1], left))
  end
end

local function voidPlaces()
  return tonumber(call('HGET', META, 'void') or 0) + (counts.void or 0)
end

-- More than tasks wait: then some lie where no claim will come soon.
local function hasTooManyVoid()
  local void, pending = voidPlaces(), tonumber(call('HGET', META, 'pending') or 0) + (counts.pending or 0)
  return void > pending and (void > MOST_VOID or pending == 0)
end

local function freshScore(created)
  return score(USUAL, tonumber(created))
end

local function isVoid(sequence, content, run)
  return run or not content or tonumber(sub(content, 1, 12)) ~= sequence
end

-- Which of some places are void.
local function findVoid(ids, sequences)
  local void = {}
  if voidPlaces() == 0 then
    return void
  end
  local runs = fetchMany(RUN, ids)
  for number, id in ipairs(ids) do
    -- One content at a time: they may be large.
    local content = not runs[number] and call('HGET', TASK, id)
    void[number] = isVoid(sequences[number], content, runs[number]) and true or false
  end
  return void
end

-- Takes void places off the head of a list, so that the first one left counts. A thousand take a millisecond.
local function trim(list)
  for _ = 1, 100 do
    if voidPlaces() == 0 then
      return
    end
    local entries, ids, sequences = readFresh(list, 100)
    local void, total = findVoid(ids, sequences), 0
    while void[total + 1] do
      total = total + 1
    end
    discard(list, entries, total)
    count('void', -total)
    if total < 100 then
      return
    end
  end
end

-- The first entry of a list, whose first task counts.
local function freshHead(name)
  trim(FRESH .. name)
  return call('LINDEX', FRESH .. name, 0) or nil
end

-- Moves up to `most` tasks created by then from the head of a list to the sorted set, where they stand in the same
-- order. Returns how many left the list.
local function sortIn(name, most, instant)
  local list = FRESH .. name
  local entries, ids, sequences, created = readFresh(list, most)
  local void, sorted, voided, total = findVoid(ids, sequences), {}, 0, 0
  for number = 1, math.min(#ids, most) do
    if tonumber(created[number]) > instant then
      break
    end
    total = number
    if void[number] then
      voided = voided + 1
    else
      sorted[#sorted + 1] = format('%d', freshScore(created[number]))
      sorted[#sorted + 1] = format('%012d', sequences[number]) .. ids[number]
    end
  end
  callWithMany('ZADD', READY .. name, sorted)
  discard(list, entries, total)
  count('void', -voided)
  return total
end

-- The same from all lists together.
local function sortInAll(most)
  local left = most
  for _, name in ipairs(call('SMEMBERS', NAMES)) do
    if left > 0 then
      left = left - sortIn(name, left, math.huge)
    end
  end
  return most - left
end
