-- Stores tasks whose ids are new, that have no unique key, and that differ in nothing but id and input: a bulk of one
-- definition, a burst of single ones, a lone one. No conflict is looked for, which halves the cost; one fails it all.
--
-- Inputs: $1 ids and $2 inputs as arrays; one value each: $3 name, $4 queue, $5 headers (JSON), $6 priority, $7 delay,
-- $8 due instant, $9 span to expiry, $10 instant of expiry, $11 most attempts, $12 timeout, $13 group, $14 owner,
-- $15 version; then $16 channel, $17 what to notify or null.
-- Result: none; SQLSTATE 23505 when an id was there already.
-- Locks: the new rows. Cost: two index entries a row.
with told as materialized (
  select case when $17::text is not null then pg_notify($16, $17) end
)
insert into millrace.task (
  id, name, queue, input, headers, priority, run_at, expires_at, max_attempts, timeout_ms, group_name, owner, version,
  created_at
)
select
  t.id, $3, $4, t.input, $5, $6::smallint, coalesce($8::bigint, millrace.now_ms() + $7::bigint),
  coalesce($10::bigint, millrace.now_ms() + $9::bigint), $11::integer, $12::bigint, $13, $14, $15::integer,
  millrace.now_ms()
from told, unnest($1::text[], $2::text[]) as t (id, input)
