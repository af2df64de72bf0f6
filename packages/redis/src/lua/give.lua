-- Library after held.lua: gives a task to a claim that sleeps, in the message that would have woken it. That saves the
-- claim, and with it almost a third of the time until the handler begins; and it wakes one worker instead of all.
--
-- ASLEEP has the claims that found nothing and sleep, by the instant until which that is so: session (16) listener (16)
-- zero byte, then names, each ended by a zero byte. Whatever is due for them would have told them (see `conclude`) and
-- taken them out, so nothing that waits comes before the task that is given. A claim that looks again takes itself out.
local MOST_SLEEPERS = 10

local function sleeperOf(session, listener, from, to)
  return session .. listener .. '\0' .. table.concat(ARGV, '\0', from, to) .. '\0'
end

local function sleepUntil(sleeper, instant)
  call('ZREMRANGEBYSCORE', ASLEEP, '-inf', now)
  call('ZADD', ASLEEP, instant, sleeper)
end

local function wakeUp(sleeper)
  call('ZREM', ASLEEP, sleeper)
end

-- The task is plain and has an id as they are made here. Whether somebody has it now.
local function giveToSleeper(name, id, content)
  for _, sleeper in ipairs(call('ZRANGEBYSCORE', ASLEEP, now + 1, '+inf', 'LIMIT', 0, MOST_SLEEPERS)) do
    if find(sleeper, '\0' .. name .. '\0', 33, true) then
      local session, listener = sub(sleeper, 1, 16), sub(sleeper, 17, 32)
      local lease = call('ZSCORE', SESSION, session)
      wakeUp(sleeper)
      if lease and tonumber(lease) > now then
        local fence = format('%013d', call('HINCRBY', META, 'fence', 1))
        -- A process that is gone does not hear: the server knows that before its lease is over.
        if call('PUBLISH', base .. ':given:' .. listener, session .. fence .. id .. content) > 0 then
          call('HSET', RUN, id, 'r-000000000001' .. fence .. session .. now13)
          holdTogether(session, fence, id, 1)
          return true
        end
      end
    end
  end
  return false
end
