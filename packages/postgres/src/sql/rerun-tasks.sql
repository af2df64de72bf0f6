-- Puts ended tasks back in line, as if they had just been enqueued; history and fence stay. A task whose unique key
-- another one has by now stays where it is.
--
-- Inputs: $1 ids. Result: one row: JSON [[id, outcome, queue], …] without the tasks that were not found.
-- Locks: the tasks' rows, in the order of their ids. Cost: one move to `task` a task.
with target as materialized (
  select * from millrace.finished where id = any ($1::text[]) order by id for update
),
stored as (
  insert into millrace.task (
    run_at, created_at, fence, max_attempts, version, priority, id, name, queue, expires_at, timeout_ms, worker, key,
    key_until, unique_key, group_name, owner, headers, input, errors, log
  )
  select
    millrace.now_ms(), created_at, fence, max_attempts, version, priority, id, name, queue,
    -- An instant that has passed would end it again before it could run.
    case when expires_at > millrace.now_ms() then expires_at end,
    timeout_ms, worker, key, key_until, key, group_name, owner, headers, input, errors, log
  from target
  order by id
  on conflict do nothing
  returning id, queue
),
gone as (
  delete from millrace.finished where id = any (array(select id from stored))
)
select
  json_agg(json_build_array(o.id, o.outcome, o.queue))::text as outcomes
from (
  select id, 'applied' as outcome, queue from stored
  union all
  select id, 'refused', queue from target where id not in (select id from stored)
  union all
  select id, 'refused', queue from millrace.task where id = any ($1::text[])
) as o
