-- Makes a session known.
--
-- Inputs: $1 id, $2 instance, $3 host, $4 time to live. Result: none. Locks: the new row. Cost: one insert.
insert into millrace.session (id, instance, host, ttl_ms, expires_at)
values ($1, $2, $3, $4::bigint, millrace.now_ms() + $4::bigint)
on conflict do nothing
