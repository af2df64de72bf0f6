-- Gives a session tasks of several names. Each name has a line of its own in the index; the lines are merged.
--
-- Inputs: $1 session, $2 worker, $3 queues in the order of their turn, $4 names, $5 how many, $6 how far to look down
-- each line (more than $5: others may have locked the first ones).
-- Result, locks: as claim-tasks.sql. Cost: as there, for each name; and for each name present $6 index entries.
with lane as materialized (
  select q.queue, q.turn, array_agg(n.name) as names
  from unnest($3::text[]) with ordinality as q (queue, turn)
  cross join unnest($4::text[]) as n (name)
  cross join lateral (
    select 1 from millrace.task
    where queue = q.queue and name = n.name and state in ('pending', 'retrying')
    order by priority
    limit 1
  ) as present
  where not exists (select 1 from millrace.queue where name = q.queue and paused)
  group by q.queue, q.turn
),
-- Locked when the first task is found, so that a claim that finds none writes nothing.
holder as materialized (
  select id from millrace.session
  where id = $1 and not closed and expires_at > millrace.now_ms()
  for key share
)
update millrace.task
set
  state = 'running', attempt = attempt + 1, fence = fence + 1, session_id = $1, worker = $2, begun = false,
  started_at = millrace.now_ms(), unique_key = case when key_until = 'started' then null else unique_key end
where ctid = any (array(
  select held.tid
  from (
    select free.tid
    from generate_series(9, 0, -1) as level (priority)
    cross join lateral (
      select first.tid
      from (select queue, names from lane order by turn) as lane
      cross join lateral (
        select locked.tid
        from (
          select line.tid
          from unnest(lane.names) as n (name)
          cross join lateral (
            select head.tid, head.run_at, head.seq
            from (
              select ctid as tid, run_at, seq from millrace.task
              where
                queue = lane.queue and name = n.name and priority = level.priority::smallint
                and state in ('pending', 'retrying') and run_at <= millrace.now_ms()
              order by run_at, seq
              limit 4000
            ) as head
            limit $6
          ) as line
          order by line.run_at, line.seq
          limit 4000
        ) as waiting
        cross join lateral (
          select ctid as tid from millrace.task
          where
            ctid = waiting.tid and state in ('pending', 'retrying')
            and (expires_at is null or expires_at > millrace.now_ms())
          for update skip locked
        ) as locked
        limit 2000
      ) as first
      limit 2000
    ) as free
    limit $5
  ) as free
  cross join lateral (select free.tid from holder limit 1) as held
))
returning
  id, fence, attempt, name, queue, input, headers, priority, max_attempts, timeout_ms, checkpoint, key, group_name,
  owner, version, created_at, run_at, seq, ctid
