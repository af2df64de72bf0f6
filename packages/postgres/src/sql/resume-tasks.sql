-- Puts resting tasks back in line.
--
-- Inputs: $1 ids. Result: one row: JSON [[id, outcome, queue], …] without the tasks that were not found.
-- Locks: the tasks' rows, in the order of their ids. Cost: one new row version a task.
with target as materialized (
  select id, state, session_id, queue from millrace.task where id = any ($1::text[]) order by id for update
),
changed as (
  update millrace.task t set state = 'pending'
  where t.id = any (array(select id from target where state = 'paused'))
  returning t.id, t.queue
)
select
  json_agg(json_build_array(o.id, o.outcome, o.queue))::text as outcomes
from (
  select id, 'applied' as outcome, queue from changed
  union all
  select id, 'refused', queue from target where not (target.state = 'paused')
  union all
  select id, 'refused', queue from millrace.finished where id = any ($1::text[])
) as o
