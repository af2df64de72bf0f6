-- Ends a session in one queue: gives back what it holds, uncharged. Uses record.lua, held.lua, place.lua and
-- end-run.lua.
-- Arguments: 1 session; 2 token; 3 most tasks to give back by this call.
-- Result: 1 if it still holds tasks; 0 when the session is gone.
-- Cost: O(log n) per task given back, O(1) per task that was claimed together with these.
local session = ARGV[1]
mayFinish()
local most, left = tonumber(ARGV[3]), 0
eachHeld(session, function(id, text, content)
  if most == 0 then
    left = 1
    return true
  end
  most = most - 1
  endRun(id, content, readRun(text, content), 'r', ARGV[2])
end)
if left == 0 then
  forgetSession(session)
end
conclude()
return left
