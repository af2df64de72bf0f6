-- Gives a session tasks of one name, the common case: the index is walked in order and rows are locked as they come.
--
-- Inputs: $1 session, $2 worker, $3 queues in the order of their turn, $4 name, $5 how many.
-- Result: a row per task, in no order; none as well when the session has ended. What the caller can tell by itself is
-- null, which spares both sides a fifth of the row: the name, the queue if there is one, an attempt that equals the fence,
-- a normal priority, a first version, a due time that is the time of creation.
-- Locks: the rows claimed, others are skipped; the session's row against being closed (see close-sessions.sql).
-- Cost: one index look-up per queue, ten more per queue with waiting tasks of the name, then three page reads a task.
-- Independent of how many tasks wait, are due later, or have other names.
--
-- The literal limits are never reached. They are there for the planner, which takes a parameter in their place for a
-- tenth of the table and then prepares for a flood. Likewise `order by priority`: without it, one row of a large line
-- looks cheapest to find by reading the table from its beginning, which an empty line makes a walk through all of it.
with lane as materialized (
  select q.queue, q.turn
  from unnest($3::text[]) with ordinality as q (queue, turn)
  cross join lateral (
    select 1 from millrace.task
    where queue = q.queue and name = $4 and state in ('pending', 'retrying')
    order by priority
    limit 1
  ) as present
  where not exists (select 1 from millrace.queue where name = q.queue and paused)
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
      from (select queue from lane order by turn) as lane
      cross join lateral (
        select ctid as tid from millrace.task
        where
          queue = lane.queue and name = $4 and priority = level.priority::smallint
          and state in ('pending', 'retrying') and run_at <= millrace.now_ms()
          and (expires_at is null or expires_at > millrace.now_ms())
        order by run_at, seq
        limit 2000
        for update skip locked
      ) as first
      limit 2000
    ) as free
    limit $5
  ) as free
  cross join lateral (select free.tid from holder limit 1) as held
))
returning
  id, fence, nullif(attempt::bigint, fence)::integer, null::text, case when cardinality($3::text[]) > 1 then queue end,
  input, headers, nullif(priority, 4::smallint), max_attempts, timeout_ms, checkpoint, key, group_name, owner,
  nullif(version, 1), created_at, nullif(run_at, created_at), seq, ctid
