import { type TaskFilter, type TaskPage, type TaskRecord, ValidationError } from '@millrace/core';
import { checkKnownOptions } from '@millrace/core/adapter';
import type { RedisConnection } from './connection.ts';
import type { Keys } from './keys.ts';
import type { QueueRegistry } from './queue-registry.ts';
import { lettersOfStates, readRecord } from './stored-task.ts';

/** What listing works with. */
export interface ListingContext {
  readonly connection: RedisConnection;
  readonly keys: Keys;
  readonly registry: QueueRegistry;
}

/** Most tasks one script looks at. */
const mostLookedAt = 500;
/** Most tasks one script reads. */
const mostRead = 100;

/** A range of ids, from the highest down. */
type From = { readonly below: string } | 'highest';

/** One page, highest id first. The cursor is the last id of a page: what comes or goes meanwhile moves nothing. */
export async function listTasks(
  context: ListingContext,
  filter: TaskFilter,
  limit: number,
  cursor: string | undefined,
): Promise<TaskPage> {
  const from: From = cursor === undefined ? 'highest' : { below: readCursor(cursor) };
  const queues = await queuesOf(context, filter);
  // One more than asked for: then there is a next page.
  const perQueue = await Promise.all(queues.map((queue) => findIds(context, queue, filter, from, limit + 1)));
  const found = perQueue.flat().sort((first, second) => compareIds(second.id, first.id));
  const records = await readTasks(context, found.slice(0, limit), 'tasks.list');
  const tasks = records.filter((record) => record !== undefined);
  const last = found[limit - 1];
  return found.length > limit && last !== undefined ? { tasks, cursor: writeCursor(last.id) } : { tasks };
}

/** How many tasks a filter matches. */
export async function countTasks(context: ListingContext, filter: TaskFilter): Promise<number> {
  const queues = await queuesOf(context, filter);
  const counts = await Promise.all(
    queues.map(async (queue) => (await findIds(context, queue, filter, 'highest', Number.POSITIVE_INFINITY)).length),
  );
  return counts.reduce((sum, count) => sum + count, 0);
}

/** A task and where it is. */
export interface Located {
  readonly id: string;
  readonly queue: string;
}

/** Everything stored of tasks whose queue is known. */
export async function readTasks(
  { connection, keys }: Pick<ListingContext, 'connection' | 'keys'>,
  located: readonly Located[],
  op: string,
): Promise<(TaskRecord | undefined)[]> {
  const records = new Array<TaskRecord | undefined>(located.length);
  const byQueue = new Map<string, number[]>();
  for (const [index, { queue }] of located.entries()) byQueue.set(queue, [...(byQueue.get(queue) ?? []), index]);
  const parts = [...byQueue].flatMap(([queue, indexes]) => {
    const slices: { queue: string; indexes: number[] }[] = [];
    for (let at = 0; at < indexes.length; at += mostRead)
      slices.push({ queue, indexes: indexes.slice(at, at + mostRead) });
    return slices;
  });
  await Promise.all(
    parts.map(async ({ queue, indexes }) => {
      const ids = indexes.map((index) => (located[index] as Located).id);
      const answers = await connection.run('readTasks', keys.queue(queue), ids, { op, writes: false });
      const [now, ...tasks] = answers as [string, ...(string[] | '')[]];
      for (const [position, index] of indexes.entries()) {
        const parts = tasks[position];
        if (Array.isArray(parts)) records[index] = readRecord(ids[position] as string, queue, parts, Number(now));
      }
    }),
  );
  return records;
}

/** @throws ValidationError */
export function checkFilter(filter: TaskFilter): void {
  checkKnownOptions(filter, ['ids', 'queues', 'names', 'states', 'owner', 'group', 'key'], 'a task filter');
}

async function queuesOf({ registry }: ListingContext, filter: TaskFilter): Promise<readonly string[]> {
  const all = await registry.read('tasks.list');
  return filter.queues === undefined ? all : all.filter((queue) => filter.queues?.includes(queue));
}

/** Looks through a queue until so many were found. Each script looks at a bounded number of tasks. */
async function findIds(
  { connection, keys }: ListingContext,
  queue: string,
  filter: TaskFilter,
  from: From,
  wanted: number,
): Promise<Located[]> {
  const found: Located[] = [];
  const only = filter.ids === undefined ? undefined : new Set(filter.ids);
  if (only !== undefined) return findAmong({ connection, keys }, queue, filter, from, [...only]);
  const text = filterText(filter);
  // All that was enqueued before this listing began has to be in the index; what comes later need not.
  let unlisted = '';
  for (let start = from === 'highest' ? '+' : `(${from.below}`; ; ) {
    const most = Math.min(mostLookedAt, wanted - found.length);
    const args = [start, String(mostLookedAt), String(most), text, unlisted];
    // It completes the index, which may happen any number of times.
    const call = { op: 'tasks.list', writes: false };
    const reply = await connection.run('scanTasks', keys.queue(queue), args, call);
    const [last, ...ids] = reply as [string | number, ...string[]];
    unlisted = typeof last === 'number' ? String(last) : '0';
    if (typeof last === 'number') continue;
    for (const id of ids) found.push({ id, queue });
    if (last === '' || found.length >= wanted) return found;
    start = `(${last}`;
  }
}

/** With ids given there is nothing to look through. */
async function findAmong(
  context: Pick<ListingContext, 'connection' | 'keys'>,
  queue: string,
  filter: TaskFilter,
  from: From,
  ids: readonly string[],
): Promise<Located[]> {
  const inRange = from === 'highest' ? ids : ids.filter((id) => compareIds(id, from.below) < 0);
  const located = inRange.map((id) => ({ id, queue }));
  const records = await readTasks(context, located, 'tasks.list');
  return located.filter((_each, index) => {
    const record = records[index];
    return record !== undefined && matches(record, filter);
  });
}

function matches(record: TaskRecord, { names, states, owner, group, key }: TaskFilter): boolean {
  return (
    (names === undefined || names.includes(record.name)) &&
    (states === undefined || states.includes(record.state)) &&
    (owner === undefined || owner === record.owner) &&
    (group === undefined || group === record.group) &&
    (key === undefined || key === record.key)
  );
}

function filterText({ names, states, owner, group, key }: TaskFilter): string {
  const letters = states?.flatMap((state) => lettersOfStates[state] ?? []);
  // An empty set matches nothing, which an empty JSON object would say too; Lua tells neither from a list.
  const setOf = (values: readonly string[]): Record<string, true> =>
    Object.fromEntries(values.map((value) => [value, true as const]));
  return JSON.stringify({
    ...(letters !== undefined && { states: setOf(letters) }),
    ...(names !== undefined && { names: setOf(names) }),
    ...(owner !== undefined && { owner }),
    ...(group !== undefined && { group }),
    ...(key !== undefined && { key }),
  });
}

/** By their bytes, as the server does it. */
function compareIds(first: string, second: string): number {
  return Buffer.compare(Buffer.from(first), Buffer.from(second));
}

function writeCursor(id: string): string {
  return Buffer.from(id).toString('base64url');
}

function readCursor(cursor: string): string {
  const id = typeof cursor === 'string' ? Buffer.from(cursor, 'base64url').toString() : '';
  if (id !== '' && writeCursor(id) === cursor) return id;
  throw new ValidationError('cursor must be one that a listing returned', { option: 'cursor', op: 'tasks.list' });
}
