-- Removes dead tasks that were kept long enough.
--
-- Inputs: $1 for how long, in milliseconds, $2 most tasks. Result: one row: how many.
-- Locks: the rows removed, others' are skipped. Cost: one delete a task.
with gone as (
  delete from millrace.finished
  where ctid = any (array(
    select ctid from millrace.finished
    where state = 'failed' and finished_at <= millrace.now_ms() - $1::bigint
    order by finished_at
    limit $2::integer
    for update skip locked
  ))
  returning 1
)
select count(*)::integer as pruned from gone
