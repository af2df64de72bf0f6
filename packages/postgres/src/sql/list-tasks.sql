-- Reads tasks from the newest id down. The conditions of a filter are put in before `order by`.
--
-- Inputs: as the filter says. Result: a row per task. Locks: none. Cost: the ids walked until enough match.
select
  id, name, queue, state, input, headers, priority, attempt, max_attempts, fence, run_at, expires_at, timeout_ms, key,
  group_name, owner, checkpoint, progress, output, errors, log, created_at, started_at, finished_at, worker, version,
  failure, requested
from millrace.record
