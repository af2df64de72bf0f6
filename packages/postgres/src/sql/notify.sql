-- Tells the listeners of a channel. A hint that a crash may lose: its commit does not wait for the disk.
--
-- Inputs: $1 channel, $2 message. Result: one row of no interest.
-- Locks: one for the whole server until the commit, which is why messages are gathered (see notify.ts).
select set_config('synchronous_commit', 'off', true), pg_notify($1, $2)::text as notified
