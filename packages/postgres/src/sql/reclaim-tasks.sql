-- Takes tasks back from ended sessions. A lost run counts as an attempt, since a task that kills its worker must not
-- run for ever; except the last attempt of a task that was claimed ahead and never begun (LSE-16).
--
-- Inputs: $1 most tasks, $2 the failure (a JSON object as text without its end: the worker is added), $3 most errors
-- kept. Result: a row per task: queue, or null if it is in no line any more.
-- Locks: the rows moved, others' are skipped. Looking and moving are one statement on locked rows: a task that was
-- settled meanwhile is not touched (T19). Cost: one new row version, or one move to `finished`, a task.
with target as materialized (
  select
    t.ctid as tid, t.session_id, t.attempt, t.queue,
    (t.attempt < t.max_attempts or t.max_attempts is null or not t.begun) as spared,
    t.max_attempts is not null and t.attempt >= t.max_attempts and not t.begun as refunded,
    t.requested,
    $2::text || ',"worker":' || to_json(s.instance)::text || '}' as failure
  from (select id, instance from millrace.session where closed order by id) as s
  cross join lateral (
    select ctid, session_id, attempt, max_attempts, begun, requested, queue
    from millrace.task
    where session_id = s.id and state = 'running'
    limit $1::integer
    for update skip locked
  ) as t
  limit $1::integer
),
fate as materialized (
  select
    tid, session_id, queue, refunded, failure,
    case when refunded then attempt - 1 else attempt end as attempt,
    case
      when requested = 'remove' then 'gone'
      when requested = 'cancel' then 'cancelled'
      when not spared then 'failed'
      when requested = 'pause' then 'paused'
      when refunded then 'pending'
      else 'retrying'
    end as state
  from target
),
ended as (
  delete from millrace.task t using fate
  where t.ctid = fate.tid and t.session_id = fate.session_id and fate.state in ('failed', 'cancelled', 'gone')
  returning
    t.run_at, t.created_at, t.fence, fate.attempt as charged, t.max_attempts, t.version, t.priority, t.id, t.name,
    t.queue, fate.state as fate, t.expires_at, t.started_at, t.timeout_ms, t.session_id, t.worker, t.key, t.key_until,
    t.group_name, t.owner, t.headers, t.input, t.checkpoint, t.progress, t.errors, t.log, fate.refunded, fate.failure
),
kept as (
  insert into millrace.finished (
    finished_at, run_at, created_at, fence, attempt, max_attempts, version, priority, id, name, queue, state, failure,
    expires_at, started_at, timeout_ms, session_id, worker, key, key_until, group_name, owner, headers, input,
    checkpoint, progress, errors, log
  )
  select
    millrace.now_ms(), run_at, created_at, fence, charged, max_attempts, version, priority, id, name, queue, fate,
    case when fate = 'failed' then 'lost' end,
    expires_at, started_at, timeout_ms, session_id, worker, key, key_until, group_name, owner, headers, input,
    checkpoint, progress,
    case
      when refunded then errors
      else millrace.keep_last(errors, array[millrace.error_entry(failure, charged, millrace.now_ms())], $3::integer)
    end,
    log
  from ended
  where fate <> 'gone'
),
returned as (
  update millrace.task t
  set
    state = fate.state,
    attempt = fate.attempt,
    run_at = case when fate.refunded then t.run_at else millrace.now_ms() end,
    errors =
      case
        when fate.refunded then t.errors
        else
          millrace.keep_last(
            t.errors, array[millrace.error_entry(fate.failure, fate.attempt, millrace.now_ms())], $3::integer
          )
      end,
    session_id = null, begun = false, requested = null
  from fate
  where t.ctid = fate.tid and t.session_id = fate.session_id and fate.state in ('pending', 'retrying', 'paused')
  returning case when fate.state <> 'paused' then t.queue end as queue
)
select queue from returned
union all
select null from ended
