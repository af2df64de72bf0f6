-- What users do to tasks of one queue. The rules are `transitions` of @millrace/core. Uses record.lua, held.lua and place.lua.
-- Arguments: 1 operation: cancel, pause, resume, rerun, reschedule, update, remove; 2 what it needs, as JSON:
--   reschedule [delay or false, instant or false], update [priority or false, group or false, owner or false, whether
--   there is an input]; 3 the input; 4- ids.
-- Result: an outcome per id: a applied, q requested, f refused, n not found.
-- Cost: O(log n) per id; for one that has ended also O(tasks that ended in the same millisecond).
local operation = ARGV[1]
local wish = ARGV[2] ~= '' and cjson.decode(ARGV[2]) or {}
local waits = { p = true, t = true, z = true }
local over = { s = true, f = true, c = true }
local strength = { ['-'] = 0, p = 1, c = 2, r = 3 }
local requests = { cancel = 'c', pause = 'p', remove = 'r' }
local told = {}

local function request(id, run)
  local wanted = requests[operation]
  if strength[wanted] > strength[run.requested] then
    run.requested = wanted
  end
  call('SADD', STOP .. run.holder, id)
  told[run.holder] = true
  save(id, run)
  return 'q'
end

local function change(id, content, run, mutate)
  leave(id, content, run)
  content = mutate(content) or content
  enter(id, content, run)
  save(id, run)
  return 'a'
end

local function cancel(id, content, run)
  return change(id, content, run, function()
    run.state = 'c'
    finish(id, content, run)
  end)
end

local function pause(id, content, run)
  return change(id, content, run, function()
    run.state = 'z'
  end)
end

local function resume(id, content, run)
  return change(id, content, run, function()
    run.state = 'p'
  end)
end

local function rerun(id, content, run)
  local key = fieldsOf(content)[2]
  if key ~= '' and call('HGET', KEY, key) then
    -- Free since the task ended, and taken by another: two would share it.
    return 'f'
  end
  return change(id, content, run, function()
    for _, what in ipairs({ 'output', 'progress', 'checkpoint' }) do
      keep(id, run, what, nil)
    end
    run.state, run.attempt, run.due, run.failure = 'p', 0, now, '-'
    run.started, run.finished, run.holder = NO_TIME, NO_TIME, NOBODY
    if key ~= '' then
      call('HSET', KEY, key, id)
      run.key = '1'
    end
    local expires = expiryOf(content)
    if expires and expires <= now then
      -- An instant that has passed would end it again before it could run.
      local whole = sub(content, 1, 46) .. NEVER .. sub(content, 64)
      call('HSET', TASK, id, whole)
      return whole
    end
  end)
end

local function reschedule(id, content, run)
  return change(id, content, run, function()
    run.due = math.min(wish[2] or (now + wish[1]), FURTHEST)
  end)
end

local function update(id, content, run)
  return change(id, content, run, function()
    local from = isTimed(content) and 64 or 30
    local fields = fieldsOf(content)
    fields[3], fields[4] = wish[2] or fields[3], wish[3] or fields[4]
    if wish[4] then
      fields[7] = ARGV[3]
    end
    local head = sub(content, 1, 25) .. (wish[1] and format('%.0f', wish[1]) or sub(content, 26, 26))
      .. sub(content, 27, 28) .. (wish[4] and '1' or sub(content, 29, 29)) .. sub(content, 30, from - 1)
    local whole = head .. table.concat(fields, '\0')
    call('HSET', TASK, id, whole)
    noteSize(#whole)
    return whole
  end)
end

local function apply(id, content, run)
  local state = run.state
  if state == 'r' then
    return requests[operation] and request(id, run) or 'f'
  elseif operation == 'remove' then
    drop(id, content, run)
    return 'a'
  elseif over[state] then
    return operation == 'rerun' and rerun(id, content, run) or 'f'
  elseif operation == 'cancel' then
    return cancel(id, content, run)
  elseif operation == 'pause' then
    return state == 'z' and 'a' or pause(id, content, run)
  elseif operation == 'resume' then
    return state == 'z' and resume(id, content, run) or 'f'
  elseif operation == 'reschedule' then
    return reschedule(id, content, run)
  elseif operation == 'update' then
    return update(id, content, run)
  end
  return 'f'
end

if operation == 'cancel' or operation == 'remove' then
  mayFinish()
end
local outcomes = {}
for at = 4, #ARGV do
  local id = ARGV[at]
  local content = call('HGET', TASK, id)
  outcomes[at - 3] = content and apply(id, content, readRun(call('HGET', RUN, id), content)) or 'n'
end
for holder in pairs(told) do
  call('PUBLISH', base .. ':stop', holder)
end
conclude()
return table.concat(outcomes)
