-- Library after place.lua: the lists of fresh tasks. Such a task was due when it was enqueued, has the usual priority and
-- no key, and nothing has been done to it. A list costs a quarter of what a sorted set does, to fill and to empty.
--
-- An entry is sequence (12) created (13) id, and a list is in the order of both: what would break that order enters the
-- sorted set. Entries leave a list at its head only. Whatever else happens to a task leaves its entry behind, void: the
-- task has a run then, or is gone, or another one has its id. META counts void entries; while there are none, nobody
-- looks for them.
local MOST_VOID = 1000

local function voidEntries()
  return tonumber(call('HGET', META, 'void') or 0) + (counts.void or 0)
end

-- More than tasks wait: then some lie where no claim will come soon.
local function hasTooManyVoid()
  local void, pending = voidEntries(), tonumber(call('HGET', META, 'pending') or 0) + (counts.pending or 0)
  return void > pending and (void > MOST_VOID or pending == 0)
end

local function freshScore(entry)
  return score(USUAL, tonumber(sub(entry, 13, 25)))
end

local function isVoid(entry, content, run)
  return run or not content or sub(content, 1, 12) ~= sub(entry, 1, 12)
end

-- Which of some entries are void.
local function findVoid(entries)
  local ids, void = {}, {}
  if voidEntries() == 0 then
    return void
  end
  for number, entry in ipairs(entries) do
    ids[number] = sub(entry, 26)
  end
  local runs = fetchMany(RUN, ids)
  for number, id in ipairs(ids) do
    -- One content at a time: they may be large.
    void[number] = isVoid(entries[number], not runs[number] and call('HGET', TASK, id), runs[number]) and true or false
  end
  return void
end

local function discard(list, total)
  if total > 0 then
    call('LPOP', list, total)
  end
end

-- Takes void entries off the head of a list, so that the first one left counts. A thousand take a millisecond.
local function trim(list)
  for _ = 1, 100 do
    if voidEntries() == 0 then
      return
    end
    local entries = call('LRANGE', list, 0, 99)
    local void, total = findVoid(entries), 0
    while void[total + 1] do
      total = total + 1
    end
    discard(list, total)
    count('void', -total)
    if total < 100 then
      return
    end
  end
end

local function freshHead(name)
  trim(FRESH .. name)
  return call('LINDEX', FRESH .. name, 0) or nil
end

-- Moves up to `most` entries created by then from the head of a list to the sorted set, where they stand in the same
-- order. Returns how many left the list.
local function sortIn(name, most, instant)
  local list = FRESH .. name
  local entries = call('LRANGE', list, 0, most - 1)
  local void, sorted, voided, total = findVoid(entries), {}, 0, 0
  for number, entry in ipairs(entries) do
    if tonumber(sub(entry, 13, 25)) > instant then
      break
    end
    total = number
    if void[number] then
      voided = voided + 1
    else
      sorted[#sorted + 1] = format('%d', freshScore(entry))
      sorted[#sorted + 1] = sub(entry, 1, 12) .. sub(entry, 26)
    end
  end
  callWithMany('ZADD', READY .. name, sorted)
  discard(list, total)
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
