-- Ends runs with success: the rows move to `finished`. A stop that was asked for meanwhile comes too late.
--
-- Inputs: $1 session, $2 ids, $3 fences, $4 attempts, $5 outputs, $6 where each row was when it was claimed, null where
-- it may have moved since, $7 how many.
-- Result: one row: how many moved; which ones as positions from 1, only if some did not.
-- Locks: the rows moved. Cost: one delete, one insert with two index entries a task, and
-- one index look-up for a task that may have moved.
--
-- `coalesce` keeps the planner from looking a task up among everything the session holds. A row that somebody else
-- changes at the same moment may be missed; the caller asks again before it calls a lease stale (see settle.ts).
with op as materialized (
  select
    o.position, o.id, o.fence, o.attempt, o.output,
    coalesce(o.tid, (
      select ctid from millrace.task
      where id = o.id and fence = o.fence and attempt = o.attempt and coalesce(session_id, '') = $1
      limit 1
    )) as tid
  from unnest($2::text[], $3::bigint[], $4::integer[], $5::text[], $6::tid[]) with ordinality
    as o (id, fence, attempt, output, tid, position)
),
ended as (
  delete from millrace.task t using op
  where
    t.ctid = op.tid and t.id = op.id and t.fence = op.fence and t.attempt = op.attempt
    and coalesce(t.session_id, '') = $1
  returning
    t.run_at, t.created_at, t.fence, t.attempt, t.max_attempts, t.version, t.priority, t.id, t.name, t.queue,
    t.expires_at, t.started_at, t.timeout_ms, t.session_id, t.worker, t.key, t.key_until, t.group_name, t.owner,
    t.headers, t.input, t.checkpoint, t.progress, op.output, t.errors, t.log, op.position
),
kept as (
  insert into millrace.finished (
    finished_at, run_at, created_at, fence, attempt, max_attempts, version, priority, id, name, queue, state,
    expires_at, started_at, timeout_ms, session_id, worker, key, key_until, group_name, owner, headers, input,
    checkpoint, progress, output, errors, log
  )
  select
    millrace.now_ms(), run_at, created_at, fence, attempt, max_attempts, version, priority, id, name, queue,
    'succeeded', expires_at, started_at, timeout_ms, session_id, worker, key, key_until, group_name, owner, headers,
    input, checkpoint, progress, output, errors, log
  from ended
)
select
  (select count(*)::integer from ended) as moved,
  case
    when (select count(*) from ended) < $7::integer
      then (select array_to_json(array_agg(position))::text from ended)
  end as positions
