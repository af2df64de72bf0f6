-- Removes waiting and ended tasks; asks the holders of running ones to stop, after which they are removed.
--
-- Inputs: $1 ids, $2 channel.
-- Result: one row: JSON [[id, outcome, queue], …] without the tasks that were not found; the second column only notifies.
-- Locks: the tasks' rows, in the order of their ids. Cost: one delete, or one new row version, a task.
with target as materialized (
  select id, state, session_id, queue from millrace.task where id = any ($1::text[]) order by id for update
),
gone as (
  delete from millrace.task t
  where t.id = any (array(select id from target where state <> 'running'))
  returning t.id, t.queue
),
forgotten as (
  delete from millrace.finished where id = any ($1::text[])
  returning id, queue
),
asked as (
  update millrace.task t set requested = case when t.requested in ('remove') then t.requested else 'remove' end
  where t.id = any (array(select id from target where state = 'running'))
  returning t.id, t.queue, t.session_id
)
select
  (
    select json_agg(json_build_array(o.id, o.outcome, o.queue))::text
    from (
      select id, 'applied' as outcome, queue from gone
      union all
      select id, 'applied', queue from forgotten
      union all
      select id, 'requested', queue from asked
    ) as o
  ) as outcomes,
  (
    select pg_notify($2, case when length(note.text) < 7900 then note.text else 'stop:-:' end)::text
    from (select 'stop:-:' || json_agg(distinct session_id)::text as text from asked) as note
    where note.text is not null
  ) as notified
