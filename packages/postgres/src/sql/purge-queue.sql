-- Removes waiting tasks of a queue.
--
-- Inputs: $1 queue, $2 most tasks. Result: one row: how many.
-- Locks: the rows removed. Cost: all rows of `task` may be walked, one delete a task.
with gone as (
  delete from millrace.task
  where ctid = any (array(
    select ctid from millrace.task where queue = $1 and state <> 'running' limit $2::integer for update
  ))
  returning 1
)
select count(*)::integer as purged from gone
