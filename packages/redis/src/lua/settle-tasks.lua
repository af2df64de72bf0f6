-- Ends runs of one session in one queue. Uses record.lua, place.lua and end-run.lua.
-- Arguments: 1 session; 2 token of this call; then per operation: operation (see end-run.lua, and o for c with an
--   output) attempt (10) fence (13) id; for t and s the delay; for t and f the kind of failure (1) and the failure; for
--   o the output.
-- Result: an outcome per operation: a applied, s stale.
-- Cost: O(log n) per operation. Repeating it with the same token is answered like the first time.
local session, token = ARGV[1], ARGV[2]
-- How many arguments follow an operation.
local followers = { t = 2, s = 1, f = 1, o = 1 }
local last, at, total = #ARGV, 3, 0
local ids, operations, places, outcomes = {}, {}, {}, {}
while at <= last do
  local code = ARGV[at]
  local operation = sub(code, 1, 1)
  total = total + 1
  ids[total], operations[total], places[total] = sub(code, 25), operation, at
  at = at + 1 + (followers[operation] or 0)
end
local runs = fetchMany(RUN, ids)
local changed = {}
-- Characters as numbers: cutting out a text of one is dear.
local byte = string.byte
local RUNNING, NONE, ZERO = byte('r-0', 1, 3)
local saved, done, released, outputs = {}, {}, {}, {}
-- Counted by hand: `#` looks for the end of a table each time.
local completed, outputCount = 0, 0
local nowText = format('%d', now)

-- Any end, with everything that comes with it.
local function endWith(id, operation, place, text)
  local content = call('HGET', TASK, id)
  local run = readRun(text, content)
  local first, second = ARGV[place + 1], ARGV[place + 2]
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

mayFinish()
for number = 1, total do
  local id, operation, code = ids[number], operations[number], ARGV[places[number]]
  local text = runs[number]
  local outcome = 's'
  -- The same task twice in one call: a lease settles at most once.
  if text and not changed[id] then
    local state, requested, _, key = byte(text, 1, 4)
    if state == RUNNING then
      -- The second text is there already if it is the same: that is cheaper than to put one together.
      if sub(text, 28, 43) == session and sub(text, 5, 27) == sub(code, 2, 24) then
        outcome = 'a'
        changed[id] = true
        if (operation == 'c' or operation == 'o') and requested == NONE and key == ZERO and byte(text, 88) == ZERO then
          -- By far the most frequent end, without looking at the content.
          local last = nil
          if operation == 'o' then
            outputs[outputCount + 1], outputs[outputCount + 2] = 'o' .. id, ARGV[places[number] + 1]
            outputCount = outputCount + 2
            last = sub(text, 87, 87) .. '1' .. sub(text, 89)
          else
            last = sub(text, 87)
          end
          completed = completed + 1
          saved[completed * 2 - 1] = id
          saved[completed * 2] = 's' .. sub(text, 2, 27) .. token .. sub(text, 44, 73) .. now13 .. last
          done[completed * 2 - 1] = nowText
          done[completed * 2] = id
          released[completed] = id
        else
          endWith(id, operation, places[number], text)
        end
      end
    elseif sub(text, 15, 43) == sub(code, 12, 24) .. token then
      -- This very call has been carried out before, and its answer was lost.
      outcome = 'a'
    end
  end
  outcomes[number] = outcome
end
callWithMany('SREM', HELD .. session, released)
callWithMany('HSET', RUN, saved)
callWithMany('HSET', MORE, outputs)
callWithMany('ZADD', DONE, done)
count('running', -completed)
if completed > 0 and isAwaited() then
  for number = 1, completed do
    ended[#ended + 1] = released[number]
  end
end
conclude()
return table.concat(outcomes)
