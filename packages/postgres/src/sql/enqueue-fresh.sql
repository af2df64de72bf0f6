-- Stores tasks whose ids are new and that have no unique key.
--
-- Inputs, one array per column: $1 ids, $2 names, $3 queues, $4 inputs, $5 headers (JSON), $6 priorities, $7 delays,
-- $8 due instants, $9 spans to expiry, $10 instants of expiry, $11 most attempts, $12 timeouts, $13 groups,
-- $14 owners, $15 versions; then $16 how many, $17 channel, $18 what to notify or null.
-- Result: one row: how many were stored; their ids as JSON, only if some were not.
-- Locks: the new rows. Cost: two index entries a row.
with stored as (
  insert into millrace.task (
    id, name, queue, input, headers, priority, run_at, expires_at, max_attempts, timeout_ms, group_name, owner,
    version, created_at
  )
  select
    t.id, t.name, t.queue, t.input, t.headers, t.priority, coalesce(t.run_at, millrace.now_ms() + t.delay_ms),
    coalesce(t.expires_at, millrace.now_ms() + t.expires_in_ms), t.max_attempts, t.timeout_ms, t.group_name, t.owner,
    t.version, millrace.now_ms()
  from unnest(
    $1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::smallint[], $7::bigint[], $8::bigint[],
    $9::bigint[], $10::bigint[], $11::integer[], $12::bigint[], $13::text[], $14::text[], $15::integer[]
  ) as t (
    id, name, queue, input, headers, priority, delay_ms, run_at, expires_in_ms, expires_at, max_attempts, timeout_ms,
    group_name, owner, version
  )
  on conflict do nothing
  returning id
)
select
  (select count(*)::integer from stored) as stored,
  case
    when (select count(*) from stored) < $16::integer then (select coalesce(json_agg(id), '[]')::text from stored)
  end as ids,
  (select pg_notify($17, $18)::text where $18::text is not null) as notified
