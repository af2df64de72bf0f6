-- Library after end-run.lua: ends runs of one session in one queue, up to but not with `conclude`.
-- Arguments of the script, from the given one on: token of this call; if all are complete without an output, have ids as
--   they are made here, and none occurs twice: one text with attempt (10) fence (13) id of each; else empty, and then per
--   operation, to the last argument: operation (see end-run.lua, and o for c with an output) attempt (10) fence (13) id;
--   for t and s the delay; for t and f the kind of failure (1) and the failure; for o the output.
-- Result: an outcome per operation, a applied, s stale; `*` if all were applied.
-- Cost: O(log n) per operation. Repeating it with the same token is answered like the first time.
local function settleRuns(session, from)
  local token, packed = ARGV[from], ARGV[from + 1]
  -- How many arguments follow an operation.
  local followers = { t = 2, s = 1, f = 1, o = 1 }
  -- Of each operation: the task; attempt and fence; where the rest is, unless all are in the packed text.
  local ids, leases, places, outcomes, total = {}, {}, {}, {}, 0
  for start = 1, #packed, 23 + GENERATED do
    total = total + 1
    leases[total], ids[total] = sub(packed, start, start + 22), sub(packed, start + 23, start + 22 + GENERATED)
  end
  local last, at = #ARGV, from + 2
  while at <= last do
    local code = ARGV[at]
    total = total + 1
    leases[total], ids[total], places[total] = sub(code, 2, 24), sub(code, 25), at
    at = at + 1 + (followers[sub(code, 1, 1)] or 0)
  end
  local runs = fetchMany(RUN, ids)
  -- The same task twice in one call: a lease settles at most once.
  local changed = packed == '' and {} or nil
  local saved, released, outputs = {}, {}, {}
  -- How many were held together, by claim; and fences of the others.
  local together, alone = {}, {}
  -- Counted by hand: `#` looks for the end of a table each time.
  local completed, outputCount, stale = 0, 0, 0
  local allGenerated = true

  -- What a run has before its attempt and after its fence is the same for many tasks of one claim: whether it is ours
  -- and ends plainly, and what it becomes, without and with an output.
  local head, rest, claim, isOurs, isSimple = '', '', nil, false, false
  local endedHead, after, afterOutput = nil, nil, nil

  local function look(text)
    head, rest = sub(text, 1, 4), sub(text, 28)
    claim = #text == SHORT and sub(rest, 30) or nil
    isOurs = sub(head, 1, 1) == 'r' and sub(rest, 1, 16) == session
    local all = isOurs and sub(wholeRun(text), 28)
    isSimple = isOurs and (head == 'r-00' or head == 'r-10') and sub(all, 61, 61) == '0'
    if isSimple then
      local ended, marks = token .. sub(all, 17, 46) .. now13 .. sub(all, 60, 60), sub(all, 62)
      endedHead, after, afterOutput = 's' .. sub(head, 2), ended .. '0' .. marks, ended .. '1' .. marks
    end
  end

  -- Any end, with everything that comes with it.
  local function endWith(id, operation, place, text)
    local content = call('HGET', TASK, id)
    local run = readRun(text, content)
    local first, second = nil, nil
    if place then
      first, second = ARGV[place + 1], ARGV[place + 2]
    end
    if operation == 'o' then
      endRun(id, content, run, 'c', token, nil, nil, nil, first)
    elseif operation == 't' then
      endRun(id, content, run, 't', token, tonumber(first), sub(second, 1, 1), sub(second, 2))
    elseif operation == 'f' then
      endRun(id, content, run, 'f', token, nil, sub(first, 1, 1), sub(first, 2))
    else
      endRun(id, content, run, operation, token, operation == 's' and tonumber(first) or nil)
    end
  end

  for number = 1, total do
    local id, lease, place = ids[number], leases[number], places[number]
    local text = runs[number]
    local outcome = 's'
    if text and not (changed and changed[id]) then
      -- To put a text together and compare it is cheaper than to cut up the one that is there.
      if text ~= head .. lease .. rest then
        look(text)
      end
      if isOurs and text == head .. lease .. rest then
        outcome = 'a'
        local operation = place and sub(ARGV[place], 1, 1) or 'c'
        if changed then
          changed[id] = true
        end
        if isSimple and (operation == 'c' or operation == 'o') then
          -- By far the most frequent end, without looking at the content.
          completed = completed + 1
          released[completed] = id
          if claim then
            together[claim] = (together[claim] or 0) + 1
          else
            alone[#alone + 1] = sub(lease, 11)
          end
          saved[completed * 2 - 1] = id
          saved[completed * 2] = endedHead .. lease .. (operation == 'c' and after or afterOutput)
          allGenerated = allGenerated and #id == GENERATED
          if operation == 'o' then
            outputs[outputCount + 1], outputs[outputCount + 2] = 'o' .. id, ARGV[place + 1]
            outputCount = outputCount + 2
          end
        else
          endWith(id, operation, place, text)
        end
      elseif sub(text, 1, 1) ~= 'r' and sub(text, 15, 43) == sub(lease, 11) .. token then
        -- This very call has been carried out before, and its answer was lost.
        outcome = 'a'
      end
    end
    outcomes[number] = outcome
    stale = outcome == 's' and stale + 1 or stale
  end
  for first, total in pairs(together) do
    letGoOfSome(session, first, total)
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
  return stale > 0 and table.concat(outcomes) or '*'
end
