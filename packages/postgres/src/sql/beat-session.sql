-- Keeps a session alive and tells it what its holder must know.
--
-- Inputs: $1 session. Result: one row: whether it is alive; how many tasks it holds; the stops asked of them, as JSON
-- [[id, fence, request], …]. A session that ran out stays ended, even if nobody noticed yet: it may have been trusted
-- by nobody for a while.
-- Locks: the session's row. Cost: one update, two small index scans; constant but for the tasks the session holds.
with alive as (
  update millrace.session set expires_at = millrace.now_ms() + ttl_ms
  where id = $1 and not closed and expires_at > millrace.now_ms()
  returning 1
)
select
  exists (select 1 from alive) as alive,
  (select count(*)::integer from millrace.task where session_id = $1 and state = 'running') as held,
  coalesce((
    select json_agg(json_build_array(id, fence, requested)) from millrace.task
    where session_id = $1 and requested is not null
  ), '[]')::text as requests
