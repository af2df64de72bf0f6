-- Ends a session in one queue: gives back what it holds, uncharged. Uses record.lua, place.lua and end-run.lua.
-- Arguments: 1 session; 2 token; 3 most tasks to give back by this call.
-- Result: how many tasks it still holds; when none, the session is gone.
-- Cost: O(log n) per task given back.
local session = ARGV[1]
mayFinish()
for _, id in ipairs(call('SRANDMEMBER', HELD .. session, ARGV[3])) do
  local text, content = call('HGET', RUN, id), call('HGET', TASK, id)
  if text and content and sub(text, 28, 43) == session and sub(text, 1, 1) == 'r' then
    endRun(id, content, readRun(text, content), 'r', ARGV[2])
  else
    call('SREM', HELD .. session, id)
  end
end
local left = call('SCARD', HELD .. session)
if left == 0 then
  call('ZREM', SESSION, session)
  call('DEL', STOP .. session)
end
conclude()
return left
