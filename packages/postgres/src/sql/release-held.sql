-- Gives back what a session holds, uncharged, except for the tasks named: all of it when it ends, or what it was given
-- without getting to know (the answer to a claim was lost).
--
-- Inputs: $1 session, $2 ids to leave alone, $3 least age of the claim in milliseconds. Result: a row per task: queue.
-- Locks: the rows released. Cost: one new row version a task.
with target as materialized (
  select
    ctid as tid, requested
  from millrace.task
  where session_id = $1 and state = 'running' and id <> all ($2::text[])
    and started_at <= millrace.now_ms() - $3::bigint
  for update
),
ended as (
  delete from millrace.task t using target
  where t.ctid = target.tid and t.session_id = $1 and target.requested in ('cancel', 'remove')
  returning t.*
),
kept as (
  insert into millrace.finished (
    finished_at, run_at, created_at, fence, attempt, max_attempts, version, priority, id, name, queue, state,
    expires_at, started_at, timeout_ms, session_id, worker, key, key_until, group_name, owner, headers, input,
    checkpoint, progress, errors, log
  )
  select
    millrace.now_ms(), run_at, created_at, fence, attempt - 1, max_attempts, version, priority, id, name, queue,
    'cancelled', expires_at, started_at, timeout_ms, session_id, worker, key, key_until, group_name, owner, headers,
    input, checkpoint, progress, errors, log
  from ended
  where requested = 'cancel'
)
update millrace.task t
set
  state = case when target.requested = 'pause' then 'paused' else 'pending' end, attempt = t.attempt - 1,
  session_id = null, begun = false, requested = null
from target
where t.ctid = target.tid and t.session_id = $1 and (target.requested is null or target.requested = 'pause')
returning t.queue
