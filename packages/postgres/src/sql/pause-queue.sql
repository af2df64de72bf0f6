-- Pauses a queue, or resumes it and tells everybody.
--
-- Inputs: $1 queue, $2 whether it is paused from now on, $3 channel, $4 what to notify or null. Result: one row of no
-- interest. Locks: the queue's row. Cost: one upsert.
with changed as (
  insert into millrace.queue (name, paused) values ($1, $2::boolean)
  on conflict (name) do update set paused = excluded.paused
)
select pg_notify($3, $4)::text where $4::text is not null
