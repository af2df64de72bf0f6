-- Ends a session: nothing can be claimed for it any more. Waits for claims in flight, whose tasks are then seen by
-- release-held.sql.
--
-- Inputs: $1 session. Result: none. Locks: the session's row, against claims. Cost: one update.
update millrace.session set closed = true, expires_at = least(expires_at, millrace.now_ms())
where id = (select id from millrace.session where id = $1 for update)
