-- Whether tasks of one queue have ended, and that somebody wants to be told when they do. Uses record.lua.
-- Arguments: 1 for how long the caller wants to be told; 2- ids.
-- Result: per id: 1 on its way, 0 ended, 2 not there.
-- Cost: O(1) per id.
local reply = {}
local open = false
for at = 2, #ARGV do
  local run = call('HGET', RUN, ARGV[at])
  local state = run and sub(run, 1, 1) or 'p'
  if not run and call('HEXISTS', TASK, ARGV[at]) == 0 then
    reply[at - 1] = 2
  elseif state == 's' or state == 'f' or state == 'c' then
    reply[at - 1] = 0
  else
    reply[at - 1] = 1
    open = true
  end
end
local interest = now + tonumber(ARGV[1])
if open and tonumber(ARGV[1]) > 0 and interest > tonumber(call('HGET', META, 'awaited') or 0) then
  call('HSET', META, 'awaited', interest)
end
return reply
