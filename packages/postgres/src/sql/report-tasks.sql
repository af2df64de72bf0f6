-- Keeps what handlers report while they run.
--
-- Inputs: $1 session, $2 ids, $3 fences, $4 attempts, $5 progress, $6 checkpoints, $7 log lines (JSON objects as text,
-- one a line), $8 begun, $9 how many, $10 most log lines kept. Null leaves a field as it is.
-- Result: one row: how many were kept; which ones as positions from 1, only if some were not.
-- Locks: the rows updated. Cost: one index look-up and one new row version a task.
-- Rows that somebody else changes at the same moment may be missed: see complete-tasks.sql.
with op as materialized (
  select o.position, o.fence, o.attempt, o.progress, o.checkpoint, o.log, o.begun, held.tid
  from unnest($2::text[], $3::bigint[], $4::integer[], $5::text[], $6::text[], $7::text[], $8::boolean[])
    with ordinality as o (id, fence, attempt, progress, checkpoint, log, begun, position)
  cross join lateral (
    select ctid as tid from millrace.task
    where id = o.id and fence = o.fence and attempt = o.attempt and coalesce(session_id, '') = $1
    limit 1
  ) as held
),
kept as (
  update millrace.task t
  set
    progress = coalesce(op.progress, t.progress),
    checkpoint = coalesce(op.checkpoint, t.checkpoint),
    log =
      case
        when op.log is null then t.log
        else millrace.keep_last(t.log, string_to_array(op.log, chr(10)), $10::integer)
      end,
    begun = t.begun or op.begun
  from op
  where
    t.ctid = op.tid and t.fence = op.fence and t.attempt = op.attempt and coalesce(t.session_id, '') = $1
  returning op.position
)
select
  (select count(*)::integer from kept) as kept,
  case
    when (select count(*) from kept) < $9::integer
      then (select array_to_json(array_agg(position))::text from kept)
  end as positions
