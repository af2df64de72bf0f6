-- Removes tasks of a queue that stand in line.
--
-- Inputs: $1 queue, $2 most tasks. Result: one row: how many.
-- Locks: the rows removed; those being claimed are skipped. Cost: one index entry and one delete a task.
with gone as (
  delete from millrace.task
  where ctid = any (array(
    select ctid from millrace.task
    where queue = $1 and state in ('pending', 'retrying')
    limit $2::integer
    for update skip locked
  ))
  returning 1
)
select count(*)::integer as purged from gone
