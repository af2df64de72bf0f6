-- Gives locks of ids back.
-- Keys: as in lock-ids.lua. Arguments: 1 token.
-- Result: none.
-- Cost: O(1) per id.
for _, key in ipairs(KEYS) do
  if redis.call('GET', key) == ARGV[1] then
    redis.call('DEL', key)
  end
end
return 1
