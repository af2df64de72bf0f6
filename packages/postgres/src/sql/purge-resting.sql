-- Removes tasks of a queue that were put to rest.
--
-- Inputs: $1 queue. Result: one row: how many. Locks: the rows removed.
-- Cost: all rows of `task` are walked, one delete a task.
with gone as (
  delete from millrace.task where queue = $1 and state = 'paused'
  returning 1
)
select count(*)::integer as purged from gone
