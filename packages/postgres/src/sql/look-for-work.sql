-- Tells what maintenance has to do, so that an idle round costs one statement.
--
-- Inputs: $1, $2 how long succeeded (and cancelled) and failed tasks are kept, in milliseconds, or null for ever.
-- Result: one row: whether there are sessions that ran out, ended sessions, expired tasks, old finished tasks of both
-- kinds. Locks: none. Cost: five look-ups, whatever the tables hold.
select
  (
    select true from millrace.session where closed or expires_at <= millrace.now_ms() limit 1
  ) is not null as sessions,
  (
    select true from millrace.task
    where expires_at is not null and state <> 'running' and expires_at <= millrace.now_ms()
    order by expires_at
    limit 1
  ) is not null as expired,
  (
    select true from millrace.finished
    where state <> 'failed' and finished_at <= millrace.now_ms() - $1::bigint
    order by finished_at
    limit 1
  ) is not null as done,
  (
    select true from millrace.finished
    where state = 'failed' and finished_at <= millrace.now_ms() - $2::bigint
    order by finished_at
    limit 1
  ) is not null as dead
