-- Library after fresh.lua: takes due tasks out of the lines of some names, each of which is a sorted set and a list of
-- fresh tasks, in one order: by score, then by sequence, which no two tasks share.
--
-- What was read from the head of such a set or list: its key; entries and creation, if it is a list; ids, sequences and
-- scores; how many were asked for, and how many of them were taken.
local FIRST_LOOK = 16

-- Whether there is anything. Scores are for comparing only.
local function readLine(line, most, ceiling, needsScores)
  line.asked, line.taken, line.scores = most, 0, {}
  if line.isFresh then
    line.entries, line.ids, line.sequences, line.created = readFresh(line.key, most)
    for number = 1, needsScores and #line.ids or 0 do
      line.scores[number] = freshScore(line.created[number])
    end
    return #line.ids > 0
  end
  line.ids, line.sequences = {}, {}
  local range = call('ZRANGEBYSCORE', line.key, '-inf', ceiling, 'WITHSCORES', 'LIMIT', 0, most)
  for at = 1, #range, 2 do
    local number = (at + 1) / 2
    line.ids[number], line.sequences[number] = sub(range[at], 13), tonumber(sub(range[at], 1, 12))
    line.scores[number] = tonumber(range[at + 1])
  end
  return #line.ids > 0
end

-- Takes out of the store what was taken.
local function leaveLine(line)
  if line.taken > 0 and line.isFresh then
    discard(line.key, line.entries, line.taken)
  elseif line.taken > 0 then
    call('ZREMRANGEBYRANK', line.key, 0, line.taken - 1)
  end
end

local function comesBefore(first, second)
  local one, other = first.taken + 1, second.taken + 1
  if first.scores[one] ~= second.scores[other] then
    return first.scores[one] < second.scores[other]
  end
  return first.sequences[one] < second.sequences[other]
end

-- The lines of names in the arguments that have something of this priority or above. A name may be there twice.
local function linesOf(from, to, lowest, ceiling)
  local lines, seen, voided = {}, {}, voidPlaces() > 0
  for at = from, to do
    local name = ARGV[at]
    if not seen[name] then
      seen[name] = true
      if call('ZRANGEBYSCORE', READY .. name, '-inf', ceiling, 'LIMIT', 0, 1)[1] then
        lines[#lines + 1] = { key = READY .. name }
      end
      -- The head has to count where it is compared; and who asks for one task wants one.
      if lowest <= USUAL and (voided and freshHead(name) or not voided and call('LINDEX', FRESH .. name, 0)) then
        lines[#lines + 1] = { key = FRESH .. name, isFresh = true }
      end
    end
  end
  return lines
end

-- Takes up to `limit` tasks that are not below a priority, of the names in these arguments, and no more than one answer
-- has room for. Returns how many, and how many of them from lists; their ids; and of those from lists sequence and creation.
local function takeDue(from, to, limit, lowest)
  local ceiling = format('%.0f', (10 - lowest) * LEVEL - 1)
  local lines = linesOf(from, to, lowest, ceiling)
  -- How much more may be read into one answer; not counted while this queue holds small tasks only.
  local room = largest() > LARGE and MOST_AT_ONCE or nil
  local ids, sequences, created, taken, fromLists = {}, {}, {}, 0, 0
  if #lines == 1 and not room then
    local line = lines[1]
    readLine(line, limit, ceiling, false)
    line.taken = math.min(limit, #line.ids)
    for number = #line.ids, line.taken + 1, -1 do
      line.ids[number] = nil
    end
    leaveLine(line)
    if line.isFresh then
      return line.taken, line.taken, line.ids, line.sequences, line.created
    end
    return line.taken, 0, line.ids, sequences, created
  end

  -- Whether there is something left in a line.
  local function goesOn(line)
    if line.taken < #line.ids then
      return true
    end
    leaveLine(line)
    local isEmpty = #line.ids < line.asked
    line.taken = 0
    return not isEmpty and readLine(line, line.asked * 2, ceiling, true)
  end

  -- False when the answer is full.
  local function takeOne(line)
    local at = line.taken + 1
    local id = line.ids[at]
    if room then
      local size = call('HSTRLEN', TASK, id)
      if size > room and taken > 0 then
        return false
      end
      room = math.max(0, room - size)
    end
    line.taken, taken = at, taken + 1
    ids[taken] = id
    if line.isFresh then
      fromLists = fromLists + 1
      sequences[taken], created[taken] = line.sequences[at], line.created[at]
    end
    return taken < limit
  end

  for number, line in ipairs(lines) do
    readLine(line, math.min(limit, FIRST_LOOK), ceiling, true)
  end
  table.sort(lines, comesBefore)
  local isFull = false
  while lines[1] and not isFull do
    local line, rival = lines[1], lines[2]
    local isLeft
    repeat
      isFull = not takeOne(line)
      isLeft = isFull or goesOn(line)
    until isFull or not isLeft or (rival and comesBefore(rival, line))
    if not isLeft then
      table.remove(lines, 1)
    end
    -- It goes to its place among the others, which are in order.
    for number = 1, isLeft and not isFull and #lines - 1 or 0 do
      if not comesBefore(lines[number + 1], lines[number]) then
        break
      end
      lines[number], lines[number + 1] = lines[number + 1], lines[number]
    end
  end
  for _, line in ipairs(lines) do
    leaveLine(line)
  end
  return taken, fromLists, ids, sequences, created
end
