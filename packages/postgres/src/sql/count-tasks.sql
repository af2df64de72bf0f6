-- Counts tasks. The conditions of a filter are added.
--
-- Inputs: as the filter says. Result: one row. Locks: none. Cost: all tasks of both tables are walked.
select count(*)::integer as count from millrace.record
