-- Tells which tasks have neither ended nor gone.
--
-- Inputs: $1 ids. Result: a row per task: id. Locks: none. Cost: one index look-up a task.
select id from millrace.task where id = any ($1::text[])
