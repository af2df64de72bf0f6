-- Finds tasks that wait although they have been due for some time: whoever brings tasks to workers by their ids has
-- lost sight of them.
--
-- Inputs: $1 due for how long, in milliseconds, $2 most tasks of each queue, at most 10,000.
-- Result: a row per task: id, name, queue, priority; per queue the one due longest first. Paused queues, and tasks that
-- will never start because their time is over, are left out.
-- Locks: none. Cost: the index of the lines is stepped through, a look-up per queue and name that has waiting tasks,
-- then ten more for each, one per priority; and $2 entries read from each of those that has as many overdue. So nothing
-- is walked: a million tasks that wait cost what a thousand do, and tasks due later, running or ended cost nothing.
--
-- The literal limits are never reached; claim-tasks.sql says what they are for.
with recursive line (queue, name) as (
  (
    select queue, name from millrace.task
    where state in ('pending', 'retrying')
    order by queue, name
    limit 1
  )
  union all
  select next.queue, next.name
  from line
  cross join lateral (
    select queue, name from millrace.task
    where (queue, name) > (line.queue, line.name) and state in ('pending', 'retrying')
    order by queue, name
    limit 1
  ) as next
),
open as materialized (
  select queue, array_agg(name) as names
  from line
  where not exists (select 1 from millrace.queue where name = line.queue and paused)
  group by queue
)
select late.id, late.name, open.queue, late.priority
from open
cross join lateral (
  select head.id, n.name, level.priority, head.run_at, head.seq
  from unnest(open.names) as n (name)
  cross join generate_series(0, 9) as level (priority)
  cross join lateral (
    select first.id, first.run_at, first.seq
    from (
      select id, run_at, seq from millrace.task
      where
        queue = open.queue and name = n.name and priority = level.priority::smallint
        and state in ('pending', 'retrying') and run_at <= millrace.now_ms() - $1::bigint
        and (expires_at is null or expires_at > millrace.now_ms())
      order by run_at, seq
      limit 10000
    ) as first
    limit $2
  ) as head
  order by head.run_at, head.seq
  limit $2
) as late
order by open.queue, late.run_at, late.seq
