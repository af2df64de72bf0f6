-- Counts the waiting and running tasks of queues.
--
-- Inputs: $1 queues, or null for all known. Result: a row per queue: name, paused, pending, scheduled, retrying,
-- running, paused tasks, age of the oldest due task in milliseconds.
-- Locks: none. Cost: all rows of `task` are walked.
with counted as (
  select
    queue,
    count(*) filter (where state = 'pending' and run_at <= (select millrace.now_ms())) as pending,
    count(*) filter (where state = 'pending' and run_at > (select millrace.now_ms())) as scheduled,
    count(*) filter (where state = 'retrying') as retrying,
    count(*) filter (where state = 'running') as running,
    count(*) filter (where state = 'paused') as paused_tasks,
    millrace.now_ms() - min(run_at) filter (
      where state in ('pending', 'retrying') and run_at <= (select millrace.now_ms())
    ) as oldest
  from millrace.task
  where $1::text[] is null or queue = any ($1::text[])
  group by queue
),
named as (
  select unnest($1::text[]) as queue
  union
  select queue from counted
  union
  select name from millrace.queue where $1::text[] is null
)
select
  named.queue, coalesce(q.paused, false) as paused, coalesce(c.pending, 0) as pending,
  coalesce(c.scheduled, 0) as scheduled, coalesce(c.retrying, 0) as retrying, coalesce(c.running, 0) as running,
  coalesce(c.paused_tasks, 0) as paused_tasks, c.oldest
from named
left join counted c on c.queue = named.queue
left join millrace.queue q on q.name = named.queue
order by named.queue
