-- Stores tasks whose ids may be known already or that have unique keys.
--
-- Inputs: $1..$15 as enqueue-fresh.sql, $16 keys, $17 until when they are taken, $18 whether a conflict replaces,
-- $19 whether the id is new for certain, $20 channel, $21 what to notify or null.
-- Result: one row: JSON [[position from 1, outcome, id of the task that is there], …]. Outcome null: what stands in
-- the way came after this statement's snapshot; ask again. No two tasks of one call may have the same key if one of
-- them replaces.
-- Locks: the new and the replaced rows; waits for transactions that hold the same id or key.
-- Cost: three index entries a row, two look-ups more where the id is not new.
with incoming as materialized (
  select *
  from unnest(
    $1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::smallint[], $7::bigint[], $8::bigint[],
    $9::bigint[], $10::bigint[], $11::integer[], $12::bigint[], $13::text[], $14::text[], $15::integer[],
    $16::text[], $17::text[], $18::boolean[], $19::boolean[]
  ) with ordinality as t (
    id, name, queue, input, headers, priority, delay_ms, run_at, expires_in_ms, expires_at, max_attempts, timeout_ms,
    group_name, owner, version, key, key_until, replaces, fresh, position
  )
),
looked as materialized (
  select
    i.*,
    -- Scalar look-ups, one row at a time: as joins they might be planned as walks over the whole table.
    case when i.fresh then null else (select f.id from millrace.finished f where f.id = i.id limit 1) end as ended_id
  from incoming i
),
stored as (
  insert into millrace.task (
    id, name, queue, input, headers, priority, run_at, expires_at, max_attempts, timeout_ms, group_name, owner,
    version, created_at, key, key_until, unique_key
  )
  select
    i.id, i.name, i.queue, i.input, i.headers, i.priority, coalesce(i.run_at, millrace.now_ms() + i.delay_ms),
    coalesce(i.expires_at, millrace.now_ms() + i.expires_in_ms), i.max_attempts, i.timeout_ms, i.group_name, i.owner,
    i.version, millrace.now_ms(), i.key, i.key_until, i.key
  from looked i
  where i.ended_id is null
  order by i.position
  on conflict do nothing
  returning id, queue, unique_key
),
withdrawn as materialized (
  select id
  from millrace.withdraw_finished((
    -- `is true`, here and below: without it these are joins, planned for a handful of rows, and each row meets each.
    select array_agg(s.id) from stored s where (s.id in (select i.id from incoming i where not i.fresh)) is true
  )) as w (id)
),
kept as materialized (
  select s.id from stored s where s.id not in (select id from withdrawn)
),
accepted as materialized (
  select min(i.position) as position
  from incoming i
  where (i.id in (select id from kept)) is true
  group by i.id
),
marked as materialized (
  select
    i.*,
    -- Who took the key in this very call.
    max(case when i.position in (select position from accepted) then i.id end)
      over (partition by i.queue, i.key) as twin_id
  from looked i
),
-- Those not stored, with what was in the way when the statement began.
refused as materialized (
  select
    i.*,
    case
      when i.ended_id is not null or i.id in (select id from stored) then i.id
      else coalesce(
        (select t.id from millrace.task t where t.id = i.id limit 1),
        (select f.id from millrace.finished f where f.id = i.id limit 1)
      )
    end as same_id,
    coalesce(holder.id, case when i.key is not null then i.twin_id end) as holder_id,
    holder.tid, holder.waits
  from marked i
  left join lateral (
    select t.id, t.ctid as tid, t.state <> 'running' as waits
    from millrace.task t
    where t.queue = i.queue and t.unique_key = i.key
    limit 1
  ) as holder on true
  where i.position not in (select position from accepted)
),
replaced as (
  update millrace.task t
  set
    name = i.name, input = i.input, headers = i.headers, priority = i.priority,
    run_at = coalesce(i.run_at, millrace.now_ms() + i.delay_ms),
    expires_at = coalesce(i.expires_at, millrace.now_ms() + i.expires_in_ms),
    max_attempts = i.max_attempts, timeout_ms = i.timeout_ms, key_until = i.key_until, group_name = i.group_name,
    owner = i.owner, version = i.version,
    -- Both belong to the input that has just been replaced.
    checkpoint = null, progress = null
  from refused i
  where
    t.ctid = i.tid and i.same_id is null and i.replaces
    and t.queue = i.queue and t.unique_key = i.key and t.state in ('pending', 'retrying', 'paused')
  returning i.position
),
answered as (
  select position, 'accepted' as outcome, null as there
  from accepted
  union all
  select
    position,
    case
      when same_id is not null then 'duplicate'
      when position in (select position from replaced) then 'replaced'
      -- It should have been replaced, but somebody else changed it at the same moment.
      when replaces and waits then null
      when holder_id is not null then 'duplicate'
    end,
    coalesce(same_id, holder_id)
  from refused
)
select
  json_agg(json_build_array(position, outcome, there) order by position)::text as outcomes,
  (select pg_notify($20, $21)::text where $21::text is not null) as notified
from answered
