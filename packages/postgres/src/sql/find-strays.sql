-- Tells a session what it was given without getting to know: the answer to a claim was lost.
--
-- Inputs: $1 session, $2 ids it knows of. Result: as claim-tasks.sql. Locks: none. Cost: what the session holds.
select
  id, fence, attempt, name, queue, input, headers, priority, max_attempts, timeout_ms, checkpoint, key, group_name,
  owner, version, created_at, run_at, seq, ctid
from millrace.task
where session_id = $1 and state = 'running' and id <> all ($2::text[])
