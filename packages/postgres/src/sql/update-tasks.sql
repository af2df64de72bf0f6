-- Changes waiting tasks.
--
-- Inputs: $1 ids, $2 input, $3 priority, $4 group, $5 owner; null leaves a field as it is. Result: one row: JSON [[id, outcome, queue], …] without the tasks that were not found.
-- Locks: the tasks' rows, in the order of their ids. Cost: one new row version a task.
with target as materialized (
  select id, state, session_id, queue from millrace.task where id = any ($1::text[]) order by id for update
),
changed as (
  update millrace.task t set 
    input = coalesce($2::text, t.input), priority = coalesce($3::smallint, t.priority),
    group_name = coalesce($4::text, t.group_name), owner = coalesce($5::text, t.owner)
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
