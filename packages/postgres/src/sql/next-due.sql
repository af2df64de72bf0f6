-- Tells when a claim that found nothing may find something without anybody saying so.
--
-- Inputs: $1 session, $2 queues, $3 names. Result: one row: whether the session is alive; milliseconds until the next
-- task is due, negative if one is (others hold it, or it came just now), null if none waits.
-- Locks: none. Cost: one index look-up per queue and name, ten more where tasks of the name wait.
select
  exists (
    select 1 from millrace.session where id = $1 and not closed and expires_at > millrace.now_ms()
  ) as alive,
  (
    select min(line.run_at) - millrace.now_ms()
    from unnest($2::text[]) as q (queue)
    cross join unnest($3::text[]) as n (name)
    cross join lateral (
      select 1 from millrace.task
      where queue = q.queue and name = n.name and state in ('pending', 'retrying')
      order by priority
      limit 1
    ) as present
    cross join generate_series(0, 9) as level (priority)
    cross join lateral (
      select run_at from millrace.task
      where
        queue = q.queue and name = n.name and priority = level.priority::smallint
        and state in ('pending', 'retrying') and (expires_at is null or expires_at > millrace.now_ms())
      order by run_at, seq
      limit 1
    ) as line
    where not exists (select 1 from millrace.queue where name = q.queue and paused)
  ) as ms
