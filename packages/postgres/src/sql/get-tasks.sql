-- Reads tasks wherever they are. One statement is one snapshot: a task that moves meanwhile is seen exactly once.
--
-- Inputs: $1 ids. Result: a row per task found. Locks: none. Cost: two index look-ups a task.
select
  id, name, queue, state, input, headers, priority, attempt, max_attempts, fence, run_at, expires_at, timeout_ms, key,
  group_name, owner, checkpoint, progress, output, errors, log, created_at, started_at, finished_at, worker, version,
  failure, requested
from millrace.record
where id = any ($1::text[])
