-- Ends runs of one session in one queue. Uses record.lua, place.lua and end-run.lua.
-- Arguments: 1 session; 2 token of this call; then per operation three: id; operation (see end-run.lua) attempt (10)
--   fence (13) and, for t and s, the delay; for c an output, with a leading 1 if there is one, for t and f the kind of
--   failure (1) and the failure.
-- Result: an outcome per operation: a applied, s stale.
-- Cost: O(log n) per operation. Repeating it with the same token is answered like the first time.
local session, token = ARGV[1], ARGV[2]
local total = (#ARGV - 2) / 3
local ids, outcomes = {}, {}
for number = 1, total do
  ids[number] = ARGV[number * 3]
end
local runs = fetchMany(RUN, ids)
local changed = {}
local saved, done, released, outputs = {}, {}, {}, {}
-- Counted by hand: `#` looks for the end of a table each time.
local completed, outputCount = 0, 0
local nowText = format('%d', now)

-- Any end, with everything that comes with it.
local function endWith(id, code, value, text)
  local content = call('HGET', TASK, id)
  local operation = sub(code, 1, 1)
  local output = operation == 'c' and value ~= '' and sub(value, 2) or nil
  local failed = operation == 't' or operation == 'f'
  endRun(id, content, readRun(text, content), operation, token, tonumber(sub(code, 25)),
    failed and sub(value, 1, 1) or nil, failed and sub(value, 2) or nil, output)
end

mayFinish()
for number = 1, total do
  local id, code, value = ids[number], ARGV[number * 3 + 1], ARGV[number * 3 + 2]
  local text = runs[number]
  local outcome = 's'
  -- The same task twice in one call: a lease settles at most once.
  if text and not changed[id] then
    if sub(text, 1, 1) == 'r' then
      if sub(text, 5, 43) == sub(code, 2, 24) .. session then
        outcome = 'a'
        changed[id] = true
        if sub(code, 1, 1) == 'c' and sub(text, 2, 2) == '-' and sub(text, 4, 4) == '0' and sub(text, 88, 88) == '0' then
          -- By far the most frequent end, without looking at the content.
          local mark = '0'
          if value ~= '' then
            outputs[outputCount + 1], outputs[outputCount + 2] = 'o' .. id, sub(value, 2)
            outputCount = outputCount + 2
            mark = '1'
          end
          completed = completed + 1
          saved[completed * 2 - 1] = id
          saved[completed * 2] = 's' .. sub(text, 2, 27) .. token .. sub(text, 44, 73) .. now13 .. sub(text, 87, 87)
            .. mark .. sub(text, 89)
          done[completed * 2 - 1] = nowText
          done[completed * 2] = id
          released[completed] = id
        else
          endWith(id, code, value, text)
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
