-- Tells which leases a session still holds.
--
-- Inputs: $1 session, $2 ids, $3 fences, $4 attempts. Result: one row: their positions from 1 as JSON.
-- Locks: none. Cost: one index look-up a task.
select coalesce(array_to_json(array_agg(o.position)), '[]')::text as positions
from unnest($2::text[], $3::bigint[], $4::integer[]) with ordinality as o (id, fence, attempt, position)
cross join lateral (
  select 1 from millrace.task
  where id = o.id and fence = o.fence and attempt = o.attempt and coalesce(session_id, '') = $1
  limit 1
) as held
