-- Forgets ended sessions that hold nothing. Runs in a statement after they were closed: what was claimed for them
-- before is seen.
--
-- Inputs: none. Result: one row: how many ended sessions still hold tasks.
-- Locks: the sessions' rows, others' are skipped. Cost: one look-up per ended session.
with ended as materialized (
  select
    s.id,
    (select true from millrace.task where session_id = s.id and state = 'running' limit 1) is not null as holds
  from millrace.session s
  where s.closed
  for update skip locked
),
gone as (
  delete from millrace.session where id = any (array(select id from ended where not holds))
)
select count(*)::integer as holding from ended where holds
