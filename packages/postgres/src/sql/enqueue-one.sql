-- Stores one task whose id is new, that is due at once, and that has no unique key, expiry, group or owner: what is
-- usual of a lone task, as cheap as an insert can be. It is told of separately.
--
-- Inputs: $1 id, $2 input, $3 name, $4 queue, $5 headers (JSON), $6 priority, $7 most attempts, $8 timeout, $9 version.
-- Result: none; SQLSTATE 23505 when the id was there already.
-- Locks: the new row. Cost: two index entries.
insert into millrace.task (
  id, name, queue, input, headers, priority, run_at, max_attempts, timeout_ms, version, created_at
) values (
  $1, $3, $4, $2, $5, $6::smallint, millrace.now_ms(), $7::integer, $8::bigint, $9::integer, millrace.now_ms()
)
