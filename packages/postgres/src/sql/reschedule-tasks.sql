-- Changes when waiting tasks are due.
--
-- Inputs: $1 ids, $2 delay or null, $3 instant or null. Result: one row: JSON [[id, outcome, queue], …] without the tasks that were not found.
-- Locks: the tasks' rows, in the order of their ids. Cost: one new row version a task.
with target as materialized (
  select id, state, session_id, queue from millrace.task where id = any ($1::text[]) order by id for update
),
changed as (
  update millrace.task t set run_at = coalesce($3::bigint, millrace.now_ms() + $2::bigint)
  where t.id = any (array(select id from target where state <> 'running'))
  returning t.id, t.queue
)
select
  json_agg(json_build_array(o.id, o.outcome, o.queue))::text as outcomes
from (
  select id, 'applied' as outcome, queue from changed
  union all
  select id, 'refused', queue from target where not (target.state <> 'running')
  union all
  select id, 'refused', queue from millrace.finished where id = any ($1::text[])
) as o
