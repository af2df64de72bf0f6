-- Ends runs in every other way than success. A stop that was asked for takes the place of what does not end the task,
-- as `settledState` in core says.
--
-- Inputs: $1 session, $2 ids, $3 fences, $4 attempts, $5 kinds of settle, $6 delays, $7 failures (JSON objects as
-- text), $8 kinds of failure, $9 how many, $10 most errors kept.
-- Result: one row: how many were settled; which ones as positions from 1, only if some were not.
-- Locks: the rows settled. Cost: one index look-up and one new row version, or one move to `finished`, a task.
-- Rows that somebody else changes at the same moment may be missed: see complete-tasks.sql.
with op as materialized (
  select
    o.position, o.fence, o.attempt, o.kind, o.delay_ms, o.failure, o.failure_kind, held.tid,
    case
      when held.requested = 'remove' then 'gone'
      when held.requested = 'cancel' then 'cancelled'
      when held.requested = 'pause' and o.kind in ('retry', 'release', 'snooze') then 'paused'
      when o.kind = 'retry' then 'retrying'
      when o.kind = 'fail' then 'failed'
      when o.kind = 'cancel' then 'cancelled'
      when o.kind = 'pause' then 'paused'
      else 'pending'
    end as state,
    case when o.kind in ('release', 'snooze', 'pause') then o.attempt - 1 else o.attempt end as charged
  from unnest($2::text[], $3::bigint[], $4::integer[], $5::text[], $6::bigint[], $7::text[], $8::text[])
    with ordinality as o (id, fence, attempt, kind, delay_ms, failure, failure_kind, position)
  cross join lateral (
    select ctid as tid, requested from millrace.task
    where id = o.id and fence = o.fence and attempt = o.attempt and coalesce(session_id, '') = $1
    limit 1
    for update
  ) as held
),
ended as (
  delete from millrace.task t using op
  where
    t.ctid = op.tid and t.fence = op.fence and t.attempt = op.attempt and coalesce(t.session_id, '') = $1
    and op.state in ('failed', 'cancelled', 'gone')
  returning
    t.run_at, t.created_at, t.fence, op.charged as attempt, t.max_attempts, t.version, t.priority, t.id, t.name,
    t.queue, op.state, op.failure_kind, t.expires_at, t.started_at, t.timeout_ms, t.session_id, t.worker, t.key,
    t.key_until, t.group_name, t.owner, t.headers, t.input, t.checkpoint, t.progress, t.errors, t.log, op.failure,
    op.position
),
kept as (
  insert into millrace.finished (
    finished_at, run_at, created_at, fence, attempt, max_attempts, version, priority, id, name, queue, state, failure,
    expires_at, started_at, timeout_ms, session_id, worker, key, key_until, group_name, owner, headers, input,
    checkpoint, progress, errors, log
  )
  select
    millrace.now_ms(), run_at, created_at, fence, attempt, max_attempts, version, priority, id, name, queue, state,
    case when state = 'failed' then coalesce(failure_kind, 'error') end,
    expires_at, started_at, timeout_ms, session_id, worker, key, key_until, group_name, owner, headers, input,
    checkpoint, progress,
    case
      when failure is null then errors
      else
        millrace.keep_last(errors, array[millrace.error_entry(failure, attempt, millrace.now_ms())], $10::integer)
    end,
    log
  from ended
  where state <> 'gone'
),
returned as (
  update millrace.task t
  set
    state = op.state,
    attempt = op.charged,
    run_at =
      case
        when op.delay_ms is null then t.run_at
        else least(millrace.now_ms() + op.delay_ms, 8640000000000000)
      end,
    errors =
      case
        when op.failure is null then t.errors
        else
          millrace.keep_last(
            t.errors, array[millrace.error_entry(op.failure, op.charged, millrace.now_ms())], $10::integer
          )
      end,
    session_id = null, begun = false, requested = null
  from op
  where
    t.ctid = op.tid and t.fence = op.fence and t.attempt = op.attempt and coalesce(t.session_id, '') = $1
    and op.state in ('pending', 'retrying', 'paused')
  returning op.position
),
settled as (
  select position from ended
  union all
  select position from returned
)
select
  (select count(*)::integer from settled) as settled,
  case
    when (select count(*) from settled) < $9::integer
      then (select array_to_json(array_agg(position))::text from settled)
  end as positions
