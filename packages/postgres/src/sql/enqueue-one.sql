-- Stores one task whose id is new and that has no unique key: enqueue-alike.sql for a lone task, as cheap as an insert
-- can be. It is told of separately.
--
-- Inputs: $1 id, $2 input, $3..$15 as enqueue-alike.sql.
-- Result: none; SQLSTATE 23505 when the id was there already.
-- Locks: the new row. Cost: two index entries.
insert into millrace.task (
  id, name, queue, input, headers, priority, run_at, expires_at, max_attempts, timeout_ms, group_name, owner, version,
  created_at
) values (
  $1, $3, $4, $2, $5, $6::smallint, coalesce($8::bigint, millrace.now_ms() + $7::bigint),
  coalesce($10::bigint, millrace.now_ms() + $9::bigint), $11::integer, $12::bigint, $13, $14, $15::integer,
  millrace.now_ms()
)
