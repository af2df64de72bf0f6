-- Ends runs of a session in one queue and gives it due tasks of the same queue: what a worker that has just finished
-- asks for in one moment. Uses record.lua, held.lua, give.lua, place.lua, fresh.lua, take.lua, end-run.lua, settle.lua
-- and claim.lua.
-- Arguments: 1 number of arguments of the claim; 2- those, see claim.lua; then those of the settle, see settle.lua.
-- Result: of the settle; of the claim.
-- Cost: of both.
mayFinish()
local last = tonumber(ARGV[1]) + 1
local outcomes = settleRuns(ARGV[2], last + 1)
local reply = claimDue(2, last)
conclude()
return { outcomes, reply }
