-- Library after record.lua: which tasks a session holds. `Q:held:<session>` has an entry for each that has a whole run,
-- by its fence; and for all plain ones of one claim, whose runs are cut short, one with their ids, and one with how many
-- of them are still held. An entry each costs the claim and the settle a tenth of what they do.
-- `entries` are fences, each followed by an id.
local function holdAlone(session, entries)
  callWithMany('HSET', HELD .. session, entries)
end

-- `ids` is one text, each as long as one made here. `claim` is the fence of the first that was given.
local function holdTogether(session, claim, ids, total)
  call('HSET', HELD .. session, 'b' .. claim, ids, 'o' .. claim, total)
end

local function letGoOfSome(session, claim, total)
  if call('HINCRBY', HELD .. session, 'o' .. claim, -total) <= 0 then
    call('HDEL', HELD .. session, 'o' .. claim, 'b' .. claim)
  end
end

local function letGo(run)
  if run.claim then
    letGoOfSome(run.holder, run.claim, 1)
    run.claim = nil
  else
    call('HDEL', HELD .. run.holder, run.fence)
  end
end

local function countHeld(session)
  local entries, total = call('HGETALL', HELD .. session), 0
  for at = 1, #entries, 2 do
    local kind = sub(entries[at], 1, 1)
    if kind == 'o' then
      total = total + tonumber(entries[at + 1])
    elseif kind ~= 'b' then
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
    local kind, value = sub(entries[at], 1, 1), entries[at + 1]
    if kind == 'b' then
      for from = 1, #value, GENERATED do
        if look(sub(value, from, from + GENERATED - 1)) then
          return
        end
      end
    elseif kind ~= 'o' and look(value) then
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
