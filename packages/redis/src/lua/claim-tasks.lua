-- Gives due tasks of one queue to a session. Uses record.lua, held.lua, give.lua, place.lua, fresh.lua,
-- take.lua and claim.lua.
-- Arguments, result and cost: see claim.lua.
mayFinish()
local reply = claimDue(1, #ARGV)
conclude()
return reply
