-- Pauses a queue, or resumes it and wakes who waits for it. Uses record.lua, held.lua and place.lua.
-- Arguments: 1 pause or resume.
-- Result: none.
-- Cost: O(1).
if ARGV[1] == 'pause' then
  call('HSET', META, 'stopped', 1)
else
  call('HDEL', META, 'stopped')
  soonest = now
end
conclude()
return 1
