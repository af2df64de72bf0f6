/**
 * The least a task queue on Redis needs: a list of waiting ids, a hash of payloads, a hash of who holds what. Settling
 * is fenced; there is no retry, no delay, no lease that runs out. One hash tag: all keys are in one slot.
 */
export const keys = {
  next: '{bench}:next',
  ready: '{bench}:ready',
  tasks: '{bench}:tasks',
  running: '{bench}:running',
  finished: '{bench}:finished',
  finishedAt: '{bench}:finished-at',
};

/** KEYS next, ready, tasks; ARGV payloads, at most 1,000. Returns the last id. */
export const add = `
  local last = redis.call('INCRBY', KEYS[1], #ARGV)
  local ids, fields = {}, {}
  for i, payload in ipairs(ARGV) do
    local id = last - #ARGV + i
    ids[i] = id
    fields[2 * i - 1] = id
    fields[2 * i] = payload
  end
  redis.call('HSET', KEYS[3], unpack(fields))
  redis.call('RPUSH', KEYS[2], unpack(ids))
  return last`;

/** A finished task goes. */
const deleteDone = `redis.call('HDEL', KEYS[3], unpack(done))`;

/** A finished task stays in a hash of its own, found by the time it ended. */
const archiveDone = `
      local now = redis.call('TIME')[1]
      local kept, ends = {}, {}
      for i, payload in ipairs(redis.call('HMGET', KEYS[3], unpack(done))) do
        kept[2 * i - 1], kept[2 * i] = done[i], payload
        ends[2 * i - 1], ends[2 * i] = now, done[i]
      end
      redis.call('HDEL', KEYS[3], unpack(done))
      redis.call('HSET', KEYS[5], unpack(kept))
      redis.call('ZADD', KEYS[6], unpack(ends))`;

/**
 * KEYS next, ready, tasks, running, finished, finishedAt; ARGV limit, fence of the batch to settle, its ids. Settles
 * those that are still held with that fence, and claims at most `limit` more with a fence of their own.
 * Returns the new fence, how many were settled, the ids, the payloads.
 */
const settleAndClaim = (moveDone: string): string => `
  local settled = 0
  if #ARGV > 2 then
    local ids = {unpack(ARGV, 3)}
    local holders = redis.call('HMGET', KEYS[4], unpack(ids))
    local done = {}
    for i, fence in ipairs(holders) do
      if fence == ARGV[2] then done[#done + 1] = ids[i] end
    end
    if #done > 0 then
      redis.call('HDEL', KEYS[4], unpack(done))
      ${moveDone}
      settled = #done
    end
  end
  local limit = tonumber(ARGV[1])
  local ids = limit > 0 and redis.call('LPOP', KEYS[2], limit)
  if not ids then return {0, settled, {}, {}} end
  local fence = redis.call('INCR', KEYS[1])
  local fields = {}
  for i, id in ipairs(ids) do
    fields[2 * i - 1] = id
    fields[2 * i] = fence
  end
  redis.call('HSET', KEYS[4], unpack(fields))
  return {fence, settled, ids, redis.call('HMGET', KEYS[3], unpack(ids))}`;

export const deleteAndClaim: string = settleAndClaim(deleteDone);
export const archiveAndClaim: string = settleAndClaim(archiveDone);
