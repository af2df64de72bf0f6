-- Library after record.lua: which tasks a session holds. `Q:held:<session>` has an entry for each that has a whole run,
-- `a` and its id; and for all of one claim whose runs are cut short, by their fence, one with their ids (`b`) and one with
-- how many of them are still held (`o`). An entry each costs the claim and the settle a tenth of what they do.
local function holdAlone(session, ids)
  local entries = {}
  for number, id in ipairs(ids) do
    entries[number * 2 - 1], entries[number * 2] = 'a' .. id, ''
  end
  callWithMany('HSET', HELD .. session, entries)
end

-- `ids` is one text, each as long as one made here. `claim` is their fence.
local function holdTogether(session, claim, ids, total)
  call('HSET', HELD .. session, 'b' .. claim, ids, 'o' .. claim, total)
end

local function letGoOfSome(session, claim, total)
  if call('HINCRBY', HELD .. session, 'o' .. claim, -total) <= 0 then
    call('HDEL', HELD .. session, 'o' .. claim, 'b' .. claim)
  end
end

local function letGo(id, run)
  if run.claim then
    letGoOfSome(run.holder, run.claim, 1)
    run.claim = nil
  else
    call('HDEL', HELD .. run.holder, 'a' .. id)
  end
end

local function countHeld(session)
  local entries, total = call('HGETALL', HELD .. session), 0
  for at = 1, #entries, 2 do
    local kind = sub(entries[at], 1, 1)
    if kind == 'o' then
      total = total + tonumber(entries[at + 1])
    elseif kind == 'a' then
      total = total + 1
    end
  end
  return total
end

-- Calls a function with id, run and content of each task a session holds, until it returns true. O(1) per task, and per
-- one that was claimed together with it.
local function eachHeld(session, visit)
  local function look(id)
    local text = call('HGET', RUN, id)
    local content = text and sub(text, 1, 1) == 'r' and sub(text, 28, 43) == session and call('HGET', TASK, id)
    return content and visit(id, text, content)
  end
  local entries = call('HGETALL', HELD .. session)
  for at = 1, #entries, 2 do
    local kind, ids = sub(entries[at], 1, 1), entries[at + 1]
    if kind == 'b' then
      for from = 1, #ids, GENERATED do
        if look(sub(ids, from, from + GENERATED - 1)) then
          return
        end
      end
    elseif kind == 'a' and look(sub(entries[at], 2)) then
      return
    end
  end
end

-- Of a session that holds nothing any more.
local function forgetSession(session)
  call('ZREM', SESSION, session)
  call('HDEL', WORKER, session)
  call('DEL', HELD .. session, STOP .. session)
end
