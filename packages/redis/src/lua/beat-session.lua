-- Keeps a session alive in one queue, and tells it what is wanted of its tasks. Uses record.lua and held.lua.
-- Arguments: 1 session; 2 its time to live.
-- Result: 1 alive or 0 over; how many tasks it holds; then per wanted stop: id, fence, request.
-- Cost: O(log n), O(1) per task it holds.
local session = ARGV[1]
local lease = call('ZSCORE', SESSION, session)
if not lease or tonumber(lease) <= now then
  return { 0, 0 }
end
call('ZADD', SESSION, 'XX', now + tonumber(ARGV[2]), session)
local reply = { 1, countHeld(session) }
for _, id in ipairs(call('SMEMBERS', STOP .. session)) do
  local text = call('HGET', RUN, id)
  if text and sub(text, 28, 43) == session and sub(text, 2, 2) ~= '-' then
    reply[#reply + 1] = id
    reply[#reply + 1] = sub(text, 15, 27)
    reply[#reply + 1] = sub(text, 2, 2)
  end
end
return reply
