-- Gives a session tasks by their ids, and says of each that it does not get why not. For whoever is brought ids by
-- something that may bring them twice, too early or too late.
--
-- Inputs: $1 session, $2 worker, $3 ids, each once.
-- Result: a row per id, in no order: whether the session is alive (if not, nothing was given); the id; claimed, early,
-- ours (this session runs it already), held, paused, queue-paused, ended or gone; for early ones the milliseconds until
-- they are due; for claimed ones what claim-tasks.sql returns.
-- Locks: as claim-tasks.sql. A task that somebody else has locked is `held`, as it nearly always will be; it is not
-- waited for, so one transaction that takes long does not hold up the other tasks asked for.
-- Cost: two index look-ups a task, then the update; one to three more for a task that is not given. Nothing depends on
-- how many tasks wait.
--
-- All verdicts come from the one snapshot of this statement: a task that moves to `finished` meanwhile is seen in one
-- of the two tables, and so never `gone`.
with asked as materialized (
  select unnest($3::text[]) as id
),
free as materialized (
  select t.ctid as tid
  from asked
  cross join lateral (
    select ctid, queue from millrace.task
    where
      id = asked.id and state in ('pending', 'retrying') and run_at <= millrace.now_ms()
      and (expires_at is null or expires_at > millrace.now_ms())
      and not exists (select 1 from millrace.queue q where q.name = task.queue and q.paused)
    limit 1
    for update of task skip locked
  ) as t
),
-- Locked when the first task is found, so that a claim that gets none writes nothing.
holder as materialized (
  select id from millrace.session
  where id = $1 and not closed and expires_at > millrace.now_ms()
  for key share
),
presence as materialized (
  select
    case
      when exists (select 1 from free) then exists (select 1 from holder)
      else exists (select 1 from millrace.session where id = $1 and not closed and expires_at > millrace.now_ms())
    end as alive
),
claimed as (
  update millrace.task
  set
    state = 'running', attempt = attempt + 1, fence = fence + 1, session_id = $1, worker = $2, begun = false,
    started_at = millrace.now_ms(), unique_key = case when key_until = 'started' then null else unique_key end
  where ctid = any (array(
    select held.tid from free cross join lateral (select free.tid from holder limit 1) as held
  ))
  returning
    id, fence, attempt, name, queue, input, headers, priority, max_attempts, timeout_ms, checkpoint, key, group_name,
    owner, version, created_at, run_at, seq, ctid
)
select
  (select alive from presence) as alive,
  asked.id as asked_id,
  case
    when c.id is not null then 'claimed'
    when found.state = 'running' then case when found.session_id = $1 then 'ours' else 'held' end
    when found.expires_at <= millrace.now_ms() then 'ended'
    when found.state = 'paused' then 'paused'
    when found.run_at > millrace.now_ms() then 'early'
    when (select paused from millrace.queue where name = found.queue) then 'queue-paused'
    when found.state is not null then 'held'
    when (select true from millrace.finished where id = asked.id) then 'ended'
    else 'gone'
  end as status,
  found.run_at - millrace.now_ms() as due_in_ms,
  c.id, c.fence, c.attempt, c.name, c.queue, c.input, c.headers, c.priority, c.max_attempts, c.timeout_ms,
  c.checkpoint, c.key, c.group_name, c.owner, c.version, c.created_at, c.run_at, c.seq, c.ctid
from asked
left join claimed c on c.id = asked.id
left join lateral (
  select state, session_id, run_at, expires_at, queue from millrace.task where c.id is null and id = asked.id limit 1
) as found on true
