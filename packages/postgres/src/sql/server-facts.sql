-- What the broker has to know of the server it talks to.
--
-- Inputs: none. Result: one row: version number, encoding, fsync, synchronous_commit, synchronous standbys, process id
-- of the server process, whether it is a standby. Locks: none. Cost: none.
select
  current_setting('server_version_num')::integer as version,
  current_setting('server_encoding') as encoding,
  current_setting('fsync') as fsync,
  current_setting('synchronous_commit') as synchronous_commit,
  current_setting('synchronous_standby_names') as standbys,
  pg_backend_pid() as process_id,
  pg_is_in_recovery() as standby
