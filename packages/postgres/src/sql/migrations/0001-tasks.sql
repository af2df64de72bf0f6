-- The tables of version 1.
--
-- Inputs: none; `millrace.` stands for the configured schema, which exists. Result: none.
-- Locks: runs in one transaction under an advisory lock (see schema.ts). Cost: milliseconds, the tables are new.
--
-- `task` is hot: it holds what waits and what runs, and stays small whatever the history. Settling for good moves the
-- row to `finished` in the same statement. Times are epoch milliseconds: exact, the whole range of a JavaScript date,
-- and read without parsing; `millrace.at(run_at)` shows them to people. Text is compared byte by byte, so that names
-- that differ only in case or normalisation stay apart.

create table millrace.schema_version (
  version integer not null primary key,
  name text not null,
  applied_at timestamptz not null default now()
);

create function millrace.now_ms() returns bigint
  language sql stable parallel safe
  as $millrace$ select floor(date_part('epoch', statement_timestamp()) * 1000)::bigint $millrace$;

create function millrace.at(ms bigint) returns timestamptz
  language sql immutable parallel safe
  as $millrace$ select to_timestamp(ms / 1000.0) $millrace$;

create table millrace.task (
  -- Order of storing; breaks ties of equal due times.
  seq bigint generated always as identity,
  run_at bigint not null,
  created_at bigint not null,
  fence bigint not null default 0,
  attempt integer not null default 0,
  -- Null: no bound.
  max_attempts integer,
  version integer not null,
  priority smallint not null,
  -- The handler of the current run was about to start.
  begun boolean not null default false,
  id text collate "C" not null,
  name text collate "C" not null,
  queue text collate "C" not null,
  -- pending, retrying, paused or running; scheduled is pending with run_at ahead.
  state text collate "C" not null default 'pending',
  expires_at bigint,
  started_at bigint,
  timeout_ms bigint,
  session_id text collate "C",
  worker text collate "C",
  -- cancel, pause or remove, asked for while it runs.
  requested text collate "C",
  key text collate "C",
  -- started or settled.
  key_until text collate "C",
  -- The key while it is taken.
  unique_key text collate "C",
  group_name text collate "C",
  owner text collate "C",
  headers text,
  input text,
  checkpoint text,
  progress text,
  -- JSON objects as text: jsonb would refuse U+0000.
  errors text[],
  log text[],
  constraint task_id primary key (id)
) with (
  -- Every claim and settle leaves a dead row; the claim stays fast only if they go soon.
  autovacuum_vacuum_scale_factor = 0.02,
  autovacuum_vacuum_threshold = 2000,
  autovacuum_analyze_scale_factor = 0.05,
  autovacuum_analyze_threshold = 2000
);

-- What a claim walks, in its order. The name comes first: tasks nobody here can run are never stepped over.
create index task_line on millrace.task (queue, name, priority, run_at, seq) where state in ('pending', 'retrying');
-- What a session holds.
create index task_held on millrace.task (session_id) where state = 'running';
-- Stop requests the holder has to hear of.
create index task_requested on millrace.task (session_id) where requested is not null;
create unique index task_unique_key on millrace.task (queue, unique_key) where unique_key is not null;
create index task_expiry on millrace.task (expires_at) where expires_at is not null and state <> 'running';

create table millrace.finished (
  finished_at bigint not null,
  run_at bigint not null,
  created_at bigint not null,
  fence bigint not null,
  attempt integer not null,
  max_attempts integer,
  version integer not null,
  priority smallint not null,
  id text collate "C" not null,
  name text collate "C" not null,
  queue text collate "C" not null,
  -- succeeded, failed or cancelled.
  state text collate "C" not null,
  -- The kind of failure of a failed task.
  failure text collate "C",
  expires_at bigint,
  started_at bigint,
  timeout_ms bigint,
  -- Who ended it: tells a settle whose answer was lost whether it was applied.
  session_id text collate "C",
  worker text collate "C",
  key text collate "C",
  key_until text collate "C",
  group_name text collate "C",
  owner text collate "C",
  headers text,
  input text,
  checkpoint text,
  progress text,
  output text,
  errors text[],
  log text[],
  constraint finished_id primary key (id)
);

-- What retention walks: dead tasks are kept longer than the others. One entry per row, always at the right end.
create index finished_done on millrace.finished (finished_at) where state <> 'failed';
create index finished_dead on millrace.finished (finished_at) where state = 'failed';
-- Listing the dead tasks without walking the others.
create index finished_dead_id on millrace.finished (id) where state = 'failed';

create table millrace.session (
  id text collate "C" not null,
  instance text collate "C" not null,
  host text collate "C" not null,
  ttl_ms bigint not null,
  expires_at bigint not null,
  -- No claim may be made any more; set once, under a lock that waits for claims in flight.
  closed boolean not null default false,
  constraint session_id primary key (id)
) with (fillfactor = 50);

create table millrace.queue (
  name text collate "C" not null,
  paused boolean not null default false,
  constraint queue_name primary key (name)
);

-- Adds to a bounded list, of which the oldest entries are dropped first.
create function millrace.keep_last(list text[], items text[], most integer) returns text[]
  language sql immutable parallel safe
  as $millrace$ select (list || items)[greatest(1, coalesce(cardinality(list || items), 0) - most + 1):] $millrace$;

-- A failure as clients send it (a JSON object as text), with what the broker adds.
create function millrace.error_entry(failure text, attempt integer, at bigint) returns text
  language sql immutable parallel safe
  as $millrace$ select '{"attempt":' || attempt || ',"at":' || at || ',' || substr(failure, 2) $millrace$;

-- Takes back freshly inserted tasks whose ids turn out to be finished. Volatile, so it looks with a snapshot of its
-- own, taken after the insert: a task that moved from `task` to `finished` during the statement is seen (DUP-01).
create function millrace.withdraw_finished(ids text[]) returns setof text
  language sql volatile
  as $millrace$
    delete from millrace.task t
    -- One look-up an id: as a join it might be planned as a walk over the whole table, each row compared with each id.
    where t.ctid = any (array(
      select waiting.tid
      from unnest(ids) as asked (id)
      cross join lateral (select f.id from millrace.finished f where f.id = asked.id limit 1) as ended
      cross join lateral (
        select t.ctid as tid from millrace.task t where t.id = ended.id and t.state = 'pending' and t.fence = 0 limit 1
      ) as waiting
    ))
    returning t.id
  $millrace$;

-- Every task, wherever it is, as it is read. For people too. `ended` is constant in each half, so that a condition on it
-- leaves the other half out; the time is asked for once, not for every row.
create view millrace.record as
  select
    id, name, queue,
    case when state = 'pending' and run_at > (select millrace.now_ms()) then 'scheduled' else state end as state,
    input, headers, priority, attempt, max_attempts, fence, run_at, expires_at, timeout_ms, key, group_name, owner,
    checkpoint, progress, null::text as output, array_to_json(errors)::text as errors, array_to_json(log)::text as log,
    created_at, started_at, null::bigint as finished_at, worker, version, null::text as failure, requested,
    false as ended
  from millrace.task
  union all
  select
    id, name, queue, state,
    input, headers, priority, attempt, max_attempts, fence, run_at, expires_at, timeout_ms, key, group_name, owner,
    checkpoint, progress, output, array_to_json(errors)::text, array_to_json(log)::text,
    created_at, started_at, finished_at, worker, version, failure, null, true
  from millrace.finished;
