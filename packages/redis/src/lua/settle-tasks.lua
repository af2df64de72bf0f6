-- Ends runs of one session in one queue. Uses record.lua, held.lua, place.lua, end-run.lua and settle.lua.
-- Arguments: 1 session; 2- see settle.lua.
-- Result and cost: see settle.lua.
mayFinish()
local outcomes = settleRuns(ARGV[1], 2)
conclude()
return outcomes
