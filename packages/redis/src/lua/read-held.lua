-- What a session holds in one queue beyond what it knows of: answers to claims that got lost. Uses record.lua
-- and held.lua.
-- Arguments: 1 session; 2- ids it knows of.
-- Result: per task two or three texts, as claim.lua gives them.
-- Cost: O(tasks held by the session).
local known = {}
for at = 2, #ARGV do
  known[ARGV[at]] = true
end
local reply = {}
eachHeld(ARGV[1], function(id, text, content)
  if not known[id] then
    -- It may be met again, where it was given before and given back.
    known[id] = true
    local checkpoint = sub(text, 90, 90) == '1' and call('HGET', MORE, 'k' .. id) or nil
    reply[#reply + 1] = sub(text, 5, 27) .. signed(readRun(text, content).due) .. (checkpoint and '1' or '0') .. id
    reply[#reply + 1] = content
    reply[#reply + 1] = checkpoint
  end
end)
return reply
