-- Tells the listeners of a channel.
--
-- Inputs: $1 channel, $2 message. Result: one row of no interest.
-- Locks: one for the whole server until the commit, which is why messages are gathered (see notify.ts).
select pg_notify($1, $2)::text as notified
