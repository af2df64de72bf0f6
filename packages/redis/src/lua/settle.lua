-- Library after end-run.lua: ends runs of one session in one queue, up to but not with `conclude`.
-- Arguments of the script, from the given one on: token of this call; 1 if no task occurs twice; and per operation, to the
--   last argument: operation (see end-run.lua, and o for c with an output) attempt (10) fence (13) id; for t and s the
--   delay; for t and f the kind of failure (1) and the failure; for o the output. Several c, or several o, of one attempt
--   and fence with ids as they are made here may come as one: without an id, then the ids as one text, then the outputs.
-- Result: an outcome per operation, a applied, s stale; `*` if all were applied.
-- Cost: O(log n) per operation. Repeating it with the same token is answered like the first time.
local followers = { t = 2, s = 1, f = 1, o = 1 }

-- What an operation needs besides the task, from `place` on in the arguments.
local function endWith(id, text, letter, token, place)
  local content = call('HGET', TASK, id)
  local run = readRun(text, content)
  local first, second = ARGV[place], ARGV[place + 1]
  if letter == 'o' then
    endRun(id, content, run, 'c', token, nil, nil, nil, first)
  elseif letter == 't' then
    endRun(id, content, run, 't', token, tonumber(first), sub(second, 1, 1), sub(second, 2))
  elseif letter == 'f' then
    endRun(id, content, run, 'f', token, nil, sub(first, 1, 1), sub(first, 2))
  else
    endRun(id, content, run, letter, token, letter == 's' and tonumber(first) or nil)
  end
end

-- What a run becomes that is completed, if nothing else comes with that: no wish to stop it, no key, no earlier output.
local function plainEndOf(text, lease, letter, token)
  if (letter ~= 'c' and letter ~= 'o') or sub(text, 2, 2) ~= '-' or sub(text, 4, 4) ~= '0' then
    return nil
  end
  local whole = wholeRun(text)
  if sub(whole, 88, 88) ~= '0' then
    return nil
  end
  return 's' .. sub(whole, 2, 4) .. lease .. token .. sub(whole, 44, 73) .. now13 .. sub(whole, 87, 87)
    .. (letter == 'o' and '1' or '0') .. sub(whole, 89)
end

local function settleRuns(session, from)
  local token, changed = ARGV[from], nil
  if ARGV[from + 1] ~= '1' then
    -- A lease settles at most once.
    changed = {}
  end
  -- Tasks; and of each operation, or of several that came as one: what it is, attempt and fence, where what it needs is,
  -- and its last task.
  local ids, total = {}, 0
  local letters, leases, places, ends, rows = {}, {}, {}, {}, 0
  local last, at = #ARGV, from + 2
  while at <= last do
    local code = ARGV[at]
    local letter = sub(code, 1, 1)
    rows = rows + 1
    letters[rows], leases[rows] = letter, sub(code, 2, 24)
    if #code > 24 then
      total = total + 1
      ids[total], places[rows] = sub(code, 25), at + 1
      at = at + 1 + (followers[letter] or 0)
    else
      local packed = ARGV[at + 1]
      for start = 1, #packed, GENERATED do
        total = total + 1
        ids[total] = sub(packed, start, start + GENERATED - 1)
      end
      places[rows] = at + 2
      at = at + 2 + (letter == 'o' and #packed / GENERATED or 0)
    end
    ends[rows] = total
  end

  local runs = fetchMany(RUN, ids)
  local saved, released, outputs, stale = {}, {}, {}, {}
  -- How many were held together, by claim; and the entries of the others.
  local together, alone = {}, {}
  -- Counted by hand: `#` looks for the end of a table each time.
  local completed, number = 0, 0
  local allGenerated = true
  for row = 1, rows do
    local letter, lease, place = letters[row], leases[row], places[row] - number - 1
    local ours = lease .. session
    -- The last run that was ours and ends plainly, what it becomes, and whether it is cut short.
    local plain, after, isShort, shorts = nil, nil, false, 0
    for at = number + 1, ends[row] do
      local id, text = ids[at], runs[at]
      local isOurs = text and text == plain
      if text and not isOurs and sub(text, 1, 1) == 'r' and sub(text, 5, 43) == ours then
        isOurs, after = true, plainEndOf(text, lease, letter, token)
        plain, isShort = after and text, #text == SHORT
      end
      if isOurs and not (changed and changed[id]) then
        if changed then
          changed[id] = true
        end
        if text == plain then
          -- By far the most frequent end, without looking at the content.
          completed = completed + 1
          released[completed] = id
          saved[completed * 2 - 1], saved[completed * 2] = id, after
          if isShort then
            shorts = shorts + 1
          else
            alone[#alone + 1] = 'a' .. id
          end
          if #id ~= GENERATED then
            allGenerated = false
          end
          if letter == 'o' then
            outputs[#outputs + 1], outputs[#outputs + 2] = 'o' .. id, ARGV[place + at]
          end
        else
          endWith(id, text, letter, token, place + at)
        end
      elseif isOurs or not text or sub(text, 1, 1) == 'r' or sub(text, 15, 43) ~= sub(lease, 11) .. token then
        -- And not this very call, carried out before, whose answer was lost.
        stale[#stale + 1] = at
      end
    end
    number = ends[row]
    if shorts > 0 then
      local claim = sub(lease, 11)
      together[claim] = (together[claim] or 0) + shorts
    end
  end
  for claim, some in pairs(together) do
    letGoOfSome(session, claim, some)
  end
  callWithMany('HDEL', HELD .. session, alone)
  callWithMany('HSET', RUN, saved)
  callWithMany('HSET', MORE, outputs)
  if completed > 0 and allGenerated then
    -- One entry for all: an entry each is dear.
    call('ZADD', DONE, now, entryOf(released, 1))
  else
    for number = 1, completed do
      call('ZADD', DONE, now, released[number])
    end
  end
  count('running', -completed)
  count('done', completed)
  if completed > 0 and isAwaited() then
    for number = 1, completed do
      ended[#ended + 1] = released[number]
    end
  end
  if #stale == 0 then
    return '*'
  end
  local outcomes = {}
  for at = 1, total do
    outcomes[at] = 'a'
  end
  for _, at in ipairs(stale) do
    outcomes[at] = 's'
  end
  return table.concat(outcomes)
end
