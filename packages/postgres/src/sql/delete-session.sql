-- Forgets an ended session that holds nothing.
--
-- Inputs: $1 session. Result: none. Locks: the session's row. Cost: one delete.
delete from millrace.session s
where s.id = $1 and s.closed
  and not exists (select 1 from millrace.task where session_id = s.id and state = 'running')
