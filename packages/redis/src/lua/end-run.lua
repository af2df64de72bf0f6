-- Library after place.lua: how a run ends, by its holder or because the holder is gone. The rules are `settledState`
-- of @millrace/core and the table in docs/adapter-guide.md.
-- Operations: c complete, t retry, f fail, r release, s snooze, p pause, x cancel, l lose.
local plainEnd = { c = 's', t = 't', f = 'f', r = 'p', s = 'p', p = 'z', x = 'c', l = 't' }
local yields = { t = true, r = true, s = true, l = true }
local uncharged = { r = true, s = true, p = true }

local function endOf(operation, requested)
  local to = plainEnd[operation]
  if requested == '-' or operation == 'c' then
    return to
  elseif requested == 'r' then
    return 'gone'
  elseif requested == 'c' then
    return 'c'
  end
  return yields[operation] and 'z' or to
end

-- `token` tells a repetition of this very call from a second settle. `kind` and `failure`: see appendError.
local function endRun(id, content, run, operation, token, delay, kind, failure, output)
  local to = endOf(operation, run.requested)
  if to == 'gone' then
    drop(id, content, run)
    return
  end
  leave(id, content, run)
  run.state, run.requested, run.holder = to, '-', token
  if uncharged[operation] then
    run.attempt = run.attempt - 1
  end
  if delay then
    run.due = math.min(now + delay, FURTHEST)
  end
  if failure then
    appendError(id, run, failure)
  end
  if to == 's' or to == 'f' or to == 'c' then
    finish(id, content, run)
  end
  if to == 's' and output then
    keep(id, run, 'output', output)
  end
  if to == 'f' then
    run.failure = kind or 'e'
  end
  enter(id, content, run)
  save(id, run)
end
