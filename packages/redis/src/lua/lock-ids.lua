-- Locks ids, all or none, so that two producers do not store one id in two queues.
-- Keys: a lock per id; on a cluster one only. Arguments: 1 token; 2 how long at most, milliseconds.
-- Result: 1 or 0.
-- Cost: O(1) per id.
for _, key in ipairs(KEYS) do
  local owner = redis.call('GET', key)
  if owner and owner ~= ARGV[1] then
    return 0
  end
end
for _, key in ipairs(KEYS) do
  redis.call('SET', key, ARGV[1], 'PX', ARGV[2])
end
return 1
