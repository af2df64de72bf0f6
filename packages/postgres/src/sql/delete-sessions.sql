-- Forgets ended sessions that hold nothing. Runs in a statement after they were closed: what was claimed for them
-- before is seen.
--
-- Inputs: none. Result: none. Locks: the sessions' rows, others' are skipped. Cost: one look-up per ended session.
delete from millrace.session
where id = any (array(
  select s.id from millrace.session s
  where
    s.closed
    and (select true from millrace.task where session_id = s.id and state = 'running' limit 1) is null
  for update skip locked
))
