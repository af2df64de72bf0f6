-- Whether ids are there in one queue. Uses record.lua.
-- Arguments: ids.
-- Result: per id 1 or 0.
-- Cost: O(1) per id.
local reply = {}
for at = 1, #ARGV do
  reply[at] = call('HEXISTS', TASK, ARGV[at])
end
return reply
