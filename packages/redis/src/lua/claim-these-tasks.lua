-- Gives tasks of one queue to a session by their ids, and says of each that it does not get why not. Uses record.lua,
-- held.lua and place.lua.
-- Arguments: 1 session; 2 its time to live; 3 whether it may be new to this queue; 4 worker (instance, zero byte, host);
--   5- ids, each once.
-- Result: 'lost' for a session that is over; else per id a text, empty when this queue does not have it: c given, and
--   then what claim.lua gives of a task, its first text after the letter; w waits until it is due, and in how many
--   milliseconds; o run by this session already; h run by another; z paused; q its queue is paused; e ended, or over its
--   time; m not looked at, because the answer is large enough.
-- Cost: O(log n) per task given, O(1) per other.
-- Run again by whatever sends it twice, it gives nothing twice: what it gave is o then, and the session asks what it has.
local session, ttl, worker = ARGV[1], tonumber(ARGV[2]), ARGV[4]

mayFinish()
local lease = call('ZSCORE', SESSION, session)
if (lease and tonumber(lease) <= now) or (not lease and ARGV[3] ~= '1') then
  return { 'lost' }
end

local paused = call('HGET', META, 'stopped')
-- How much more may be read into one answer; not counted while this queue holds small tasks only.
local room = largest() > LARGE and MOST_AT_ONCE or nil
local ids = { unpack(ARGV, 5) }
local runs = fetchMany(RUN, ids)
local reply, given = {}, 0

-- Why a task cannot be given, or nil if it can.
local function obstacle(content, run)
  local state = run.state
  local expires = expiryOf(content)
  if state == 's' or state == 'f' or state == 'c' then
    return 'e'
  elseif state == 'r' then
    return run.holder == session and 'o' or 'h'
  elseif expires and expires <= now then
    return 'e'
  elseif state == 'z' then
    return 'z'
  elseif run.due > now then
    return 'w' .. format('%.0f', run.due - now)
  end
  return paused and 'q' or nil
end

local function give(id, content, run)
  if given == 0 and not lease then
    call('ZADD', SESSION, now + ttl, session)
    call('HSET', WORKER, session, worker)
  end
  given = given + 1
  leave(id, content, run)
  if sub(content, 28, 28) == 's' then
    freeKey(id, content, run)
  end
  run.state, run.requested, run.begun, run.holder, run.worker = 'r', '-', '0', session, worker
  run.attempt = run.attempt + 1
  run.fence = format('%013d', call('HINCRBY', META, 'fence', 1))
  run.started, run.finished, run.failure = now13, NO_TIME, '-'
  enter(id, content, run)
  save(id, run)
  holdAlone(session, { id })
  local checkpoint = kept(id, run, 'checkpoint')
  reply[#reply + 1] = 'c' .. format('%010d', run.attempt) .. run.fence .. signed(run.due)
    .. (checkpoint and '1' or '0') .. id
  reply[#reply + 1] = content
  reply[#reply + 1] = checkpoint
end

-- The content of a task, if the answer has room for it: `large` otherwise.
local function contentOf(id)
  if room then
    local size = call('HSTRLEN', TASK, id)
    if size > room and given > 0 then
      return nil, true
    end
  end
  return call('HGET', TASK, id), false
end

for number, id in ipairs(ids) do
  local content, large = contentOf(id)
  if large then
    reply[#reply + 1] = 'm'
  elseif not content then
    reply[#reply + 1] = ''
  else
    local run = readRun(runs[number], content)
    local why = obstacle(content, run)
    if why then
      reply[#reply + 1] = why
    else
      give(id, content, run)
      room = room and math.max(0, room - #content)
    end
  end
end
conclude()
return reply
