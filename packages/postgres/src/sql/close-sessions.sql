-- Ends sessions that ran out: from here on nothing can be claimed for them. A claim in flight holds a lock on its
-- session; such a session is left for the next round, so that no task can slip into one that was swept already.
--
-- Inputs: none. Result: none. Locks: the sessions' rows, others' are skipped. Cost: all sessions are looked at.
update millrace.session set closed = true
where id = any (array(
  select id from millrace.session where not closed and expires_at <= millrace.now_ms() for update skip locked
))
