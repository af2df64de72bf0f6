-- Library, put before every script of a queue: where its keys are, what time it is, and how a task is written down.
--
-- KEYS[1] is the queue's base key, `<prefix>:{<queue>}`, under which nothing is stored. Every other key is that followed
-- by a fixed word, so all of a queue lies in one slot; KEYS[2] is `:meta`, see connection.ts for why it is named.
-- keys.ts has them in a table, stored-task.ts reads what is written here.
--
-- A task is two texts. Its *content* is written by enqueue and, rarely, by update and replace:
--   1-12 sequence   13-25 created   26 priority   27 timing   28 until when the key is taken   29 whether it has an input
--   with timing 't' also: 30-46 due   47-63 expires     then, each ended by a zero byte:
--   name, key, group, owner, most attempts (empty: no limit), the rest as JSON; and what is left is the input.
-- Timing 'n' stands for: due when created, never expires.
--
-- Its *run* exists from the first claim or control operation on:
--   1 state   2 stop requested   3 begun   4 key taken   5-14 attempt   15-27 fence   28-43 holder, or who settled it
--   44-60 due   61-73 started   74-86 finished   87 kind of failure   88-92 has output, progress, checkpoint, errors, log
--   93- instance, zero byte, host
-- Due may be all dashes: when the task was created. And the first run of a task that was due then is cut short until
-- anything else is to be said of it: 1-43 as above, 44-56 started. Its worker is that of its holder, in WORKER. Such runs
-- of one claim are the same text, with one fence: to make a text, or to cut one out of another, is the dearest thing a
-- script does for a task.
-- States: p pending, t retrying, r running, z paused, s succeeded, f failed, c cancelled.
local call = redis.call
local sub, format, find = string.sub, string.format, string.find
local base = KEYS[1]
local TASK, RUN, MORE, META = base .. ':task', base .. ':run', base .. ':more', base .. ':meta'
local KEY, NAMES, READY, FRESH = base .. ':key', base .. ':names', base .. ':ready:', base .. ':fresh:'
local INDEX, UNLISTED = base .. ':index', base .. ':unlisted'
local LATER, BACKOFF, EXPIRY, PAUSED = base .. ':later', base .. ':backoff', base .. ':expiry', base .. ':paused'
local DONE, DEAD, SESSION, WORKER = base .. ':done', base .. ':dead', base .. ':session', base .. ':worker'
local HELD, STOP = base .. ':held:', base .. ':stop:'
local ASLEEP = base .. ':asleep'

local clock = call('TIME')
local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
local now13 = format('%013d', now)
local NEVER = '-----------------'
local NOBODY = '----------------'
local NO_TIME = '-------------'
local FURTHEST = 8640000000000000
local LEVEL = 17592186044416
-- The priority of tasks that name none.
local USUAL = 4
-- Bytes of an id that was generated.
local GENERATED = 36
-- Contents above the first size are counted before many of them are read at once, up to the second.
local LARGE, MOST_AT_ONCE = 65536, 8388608

-- The largest content this queue has had, if it is one to take care of.
local function largest()
  return tonumber(call('HGET', META, 'largest') or 0)
end

-- All numbers of two digits. Writing out a number is dear: of those that count up, the rest is the same for a hundred.
local DIGITS = '00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464748'
  .. '495051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899'

local function signed(instant)
  return format('%+017d', instant)
end

-- Where a task stands in its line: higher priority first, then the earlier due time; ties go by sequence.
local function score(priority, due)
  return (9 - priority) * LEVEL + math.max(0, math.min(due, LEVEL - 1))
end

local function priorityOf(content)
  return tonumber(sub(content, 26, 26))
end

local function memberOf(id, content)
  return sub(content, 1, 12) .. id
end

local function isTimed(content)
  return sub(content, 27, 27) == 't'
end

local function firstDueOf(content)
  if isTimed(content) then
    return sub(content, 30, 46)
  end
  return '+000' .. sub(content, 13, 25)
end

local function expiryOf(content)
  if isTimed(content) and sub(content, 47, 63) ~= NEVER then
    return tonumber(sub(content, 47, 63))
  end
  return nil
end

-- name, key, group, owner, most attempts, rest, input
local function fieldsOf(content)
  local fields = {}
  local from = isTimed(content) and 64 or 30
  for number = 1, 6 do
    local stop = find(content, '\0', from, true)
    fields[number] = sub(content, from, stop - 1)
    from = stop + 1
  end
  fields[7] = sub(content, from)
  return fields
end

local function nameOf(content)
  local from = isTimed(content) and 64 or 30
  return sub(content, from, find(content, '\0', from, true) - 1)
end

-- Characters of a run that is cut short.
local SHORT = 56

local workers = {}

-- Asked once in a script: a settle may meet the runs of several claims by turns.
local function workerOf(session)
  workers[session] = workers[session] or call('HGET', WORKER, session) or ''
  return workers[session]
end

local function wholeRun(text)
  if #text ~= SHORT then
    return text
  end
  return sub(text, 1, 43) .. NEVER .. sub(text, 44, 56) .. NO_TIME .. '-00000' .. workerOf(sub(text, 28, 43))
end

local function readRun(text, content)
  if not text then
    return {
      isNew = true, state = 'p', requested = '-', begun = '0',
      key = sub(content, 28, 28) == '-' and '0' or '1', attempt = 0,
      fence = '0000000000000', holder = NOBODY, due = tonumber(firstDueOf(content)), started = NO_TIME,
      finished = NO_TIME, failure = '-', marks = '00000', worker = '',
    }
  end
  local claim = #text == SHORT and sub(text, 15, 27) or nil
  text = wholeRun(text)
  return {
    state = sub(text, 1, 1), requested = sub(text, 2, 2), begun = sub(text, 3, 3), key = sub(text, 4, 4),
    attempt = tonumber(sub(text, 5, 14)), fence = sub(text, 15, 27), holder = sub(text, 28, 43),
    due = tonumber(sub(text, 44, 60)) or (content and tonumber(firstDueOf(content))),
    started = sub(text, 61, 73), finished = sub(text, 74, 86),
    failure = sub(text, 87, 87), marks = sub(text, 88, 92), worker = sub(text, 93),
    claim = claim,
  }
end

local function writeRun(run)
  return run.state .. run.requested .. run.begun .. run.key .. format('%010d', run.attempt) .. run.fence
    .. run.holder .. (run.due and signed(run.due) or NEVER) .. run.started .. run.finished .. run.failure .. run.marks
    .. run.worker
end

-- unpack() takes some thousands of values at most.
local CHUNK = 4000

local function callWithMany(command, key, values)
  local total = #values
  if total == 0 then
    return
  end
  for from = 1, total, CHUNK do
    call(command, key, unpack(values, from, math.min(from + CHUNK - 1, total)))
  end
end

local function fetchMany(key, ids)
  local total = #ids
  if total == 0 then
    return {}
  end
  if total <= CHUNK then
    return call('HMGET', key, unpack(ids))
  end
  local found = {}
  for from = 1, total, CHUNK do
    local part = call('HMGET', key, unpack(ids, from, math.min(from + CHUNK - 1, total)))
    for offset = 1, #part do
      found[from + offset - 1] = part[offset]
    end
  end
  return found
end
