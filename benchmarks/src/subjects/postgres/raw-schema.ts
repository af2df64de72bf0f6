/**
 * What any hand-written task table on PostgreSQL comes to: queue, name, state, priority, due time, attempts, lease,
 * worker, payload. The ceilings have no fence, no events, no retries: they are what the rest is measured against.
 */
export const rawSchema = `
  create table tasks (
    id bigint generated always as identity primary key,
    queue text not null,
    name text not null,
    state smallint not null default 0,
    priority smallint not null default 4,
    run_at timestamptz not null default now(),
    attempts integer not null default 0,
    max_attempts integer not null default 5,
    leased_until timestamptz,
    worker text,
    payload text not null,
    created_at timestamptz not null default now()
  );
  create index tasks_due on tasks (queue, priority desc, run_at, id) where state = 0;
  create table finished (
    id bigint primary key,
    queue text not null,
    name text not null,
    attempts integer not null,
    worker text,
    payload text not null,
    created_at timestamptz not null,
    finished_at timestamptz not null
  );
`;

/** $1 queue, $2 name, $3 payload. */
export const insertOne = 'insert into tasks (queue, name, payload) values ($1, $2, $3) returning id';

/** The same, and wakes a worker that listens. */
export const insertOneAndNotify: string = `with one as (${insertOne}) select id, pg_notify('tasks', '') from one`;

/** $1 queue, $2 name, $3 payloads. */
export const insertMany = `
  insert into tasks (queue, name, payload) select $1, $2, payload from unnest($3::text[]) as payload returning id`;

/** $1 queue, $2 limit, $3 worker. Takes row locks on what it claims; skips what others claim. */
export const claim = `
  update tasks set state = 1, attempts = attempts + 1, worker = $3, leased_until = now() + interval '30 seconds'
  where id = any (array(
    select id from tasks where queue = $1 and state = 0 and run_at <= now()
    order by priority desc, run_at, id limit $2 for update skip locked))
  returning id, payload`;

/** $1 ids. */
export const settleByDeleting = 'delete from tasks where id = any ($1::bigint[])';

/** $1 ids. The row moves to the history in the settling statement. */
export const settleByArchiving = `
  with done as (delete from tasks where id = any ($1::bigint[]) returning *)
  insert into finished (id, queue, name, attempts, worker, payload, created_at, finished_at)
  select id, queue, name, attempts, worker, payload, created_at, now() from done`;
