-- The version of the schema. Fails with "undefined table" (42P01) where there is none yet.
--
-- Inputs: none. Result: one row. Locks: none. Cost: one look-up.
select max(version) as version from millrace.schema_version
