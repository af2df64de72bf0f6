-- Tells which leases ended their task: what a settle whose answer was lost did, after the session is gone too.
--
-- Inputs: $1 session, $2 ids, $3 fences. Result: one row: their positions from 1 as JSON.
-- Locks: none. Cost: one index look-up a task.
select coalesce(array_to_json(array_agg(o.position)), '[]')::text as positions
from unnest($2::text[], $3::bigint[]) with ordinality as o (id, fence, position)
cross join lateral (
  select 1 from millrace.finished where id = o.id and fence = o.fence and session_id = $1 limit 1
) as ended
