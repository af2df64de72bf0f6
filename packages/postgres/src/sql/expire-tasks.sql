-- Ends waiting tasks that were not started in time.
--
-- Inputs: $1 most tasks, $2 the failure (a JSON object as text), $3 most errors kept.
-- Result: one row: how many. Locks: the rows moved, others' are skipped. Cost: one move to `finished` a task.
with ended as (
  delete from millrace.task
  where ctid = any (array(
    select ctid from millrace.task
    where expires_at is not null and state <> 'running' and expires_at <= millrace.now_ms()
    order by expires_at
    limit $1::integer
    for update skip locked
  ))
  returning *
),
kept as (
  insert into millrace.finished (
    finished_at, run_at, created_at, fence, attempt, max_attempts, version, priority, id, name, queue, state, failure,
    expires_at, started_at, timeout_ms, worker, key, key_until, group_name, owner, headers, input, checkpoint,
    progress, errors, log
  )
  select
    millrace.now_ms(), run_at, created_at, fence, attempt, max_attempts, version, priority, id, name, queue, 'failed',
    'expired', expires_at, started_at, timeout_ms, worker, key, key_until, group_name, owner, headers, input,
    checkpoint, progress,
    millrace.keep_last(errors, array[millrace.error_entry($2, attempt, millrace.now_ms())], $3::integer), log
  from ended
)
select count(*)::integer as expired from ended
