import {
  BackpressureError,
  type BrokerEnqueueOptions,
  type Capabilities,
  type EnqueueOutcome,
  type NewTask,
  UnsupportedError,
} from '@millrace/core';
import { allParts, doneInPart, findTaskError, isRefusal, throwIfAborted } from '@millrace/core/adapter';
import { groupByQueue } from './by-queue.ts';
import type { CallOptions, RedisConnection } from './connection.ts';
import { IdLocks } from './id-locks.ts';
import type { Keys } from './keys.ts';
import type { Locator } from './locator.ts';
import type { StoreSettings } from './options.ts';
import type { QueueRegistry } from './queue-registry.ts';
import { writeContent } from './stored-task.ts';

/** What enqueueing works with. */
export interface EnqueueContext {
  readonly connection: RedisConnection;
  readonly keys: Keys;
  readonly registry: QueueRegistry;
  readonly locator: Locator;
  readonly settings: StoreSettings;
  readonly capabilities: Capabilities;
  /** A queue has got tasks to be looked for. */
  readonly wake: (queue: string) => void;
}

/** Others wait while a script runs: one of this size takes about a millisecond (bench.md). */
const mostInScript = 250;
/** The server begins on so many while the rest are written down here. */
const firstInScript = 50;
/** Most characters of contents in one script. */
const mostText = 4_194_304;

const call: CallOptions = { op: 'enqueue', durable: true };
const accepted: EnqueueOutcome = Object.freeze({ status: 'accepted' });

/** Stores tasks. Outcomes come in the order given; a task that breaks a rule does not take the others down. */
export async function enqueueTasks(
  context: EnqueueContext,
  tasks: readonly NewTask[],
  options: BrokerEnqueueOptions<never>,
): Promise<EnqueueOutcome[]> {
  if (options.transaction !== undefined) {
    throw new UnsupportedError('transactions', 'Redis cannot join a transaction of yours; enqueue after it commits', {
      op: 'enqueue',
      adapter: 'redis',
      option: 'transaction',
    });
  }
  throwIfAborted(options.signal, 'enqueue');
  const outcomes = new Array<EnqueueOutcome>(tasks.length);
  const valid: number[] = [];
  for (let index = 0; index < tasks.length; index++) {
    const error = findTaskError(tasks[index] as NewTask, context.capabilities);
    if (error === undefined) valid.push(index);
    else outcomes[index] = { status: 'rejected', error };
  }
  for (const [number, round] of roundsOf(tasks, valid).entries()) {
    await storeRound(context, tasks, round, outcomes).catch((error: unknown) => {
      throw number === 0 ? error : doneInPart(error, call.op);
    });
  }
  return outcomes;
}

/** An id occurs once in a round: the second one meets the first as if it had come with another call. */
function roundsOf(tasks: readonly NewTask[], indexes: readonly number[]): readonly (readonly number[])[] {
  if (indexes.length === 0) return [];
  if (areAscending(tasks, indexes)) return [indexes];
  const rounds: number[][] = [[]];
  const occurrences = new Map<string, number>();
  for (const index of indexes) {
    const { id } = tasks[index] as NewTask;
    const occurrence = occurrences.get(id) ?? 0;
    occurrences.set(id, occurrence + 1);
    rounds[occurrence] ??= [];
    rounds[occurrence].push(index);
  }
  return rounds;
}

/** As generated ids are: then none occurs twice. */
function areAscending(tasks: readonly NewTask[], indexes: readonly number[]): boolean {
  let last = '';
  for (const index of indexes) {
    const { id } = tasks[index] as NewTask;
    if (id <= last) return false;
    last = id;
  }
  return true;
}

async function storeRound(
  context: EnqueueContext,
  tasks: readonly NewTask[],
  indexes: readonly number[],
  outcomes: EnqueueOutcome[],
): Promise<void> {
  const queueOf = (index: number): string => (tasks[index] as NewTask).queue;
  const byQueue = groupByQueue(indexes, queueOf);
  await context.registry.add(byQueue.keys(), 'enqueue');
  // A fresh id has never been sent before, so it is in no other queue.
  const chosen = indexes.filter((index) => (tasks[index] as NewTask).fresh !== true);
  if (chosen.length === 0) {
    await storeInQueues(context, tasks, byQueue, outcomes);
    return;
  }
  const locks = new IdLocks(context);
  const ids = chosen.map((index) => (tasks[index] as NewTask).id);
  await locks.acquire(ids);
  try {
    const elsewhere = await findElsewhere(context, tasks, chosen);
    for (const index of elsewhere) {
      outcomes[index] = { status: 'duplicate', existingId: (tasks[index] as NewTask).id };
    }
    const isNew = (index: number): boolean => !elsewhere.has(index);
    const left = elsewhere.size === 0 ? byQueue : groupByQueue(indexes.filter(isNew), queueOf);
    await storeInQueues(context, tasks, left, outcomes);
  } finally {
    locks.release(ids);
  }
}

/** Which of the tasks are there under another queue. */
async function findElsewhere(
  { connection, keys, registry }: EnqueueContext,
  tasks: readonly NewTask[],
  indexes: readonly number[],
): Promise<ReadonlySet<number>> {
  const found = new Set<number>();
  const queues = await registry.read('enqueue');
  await Promise.all(
    queues.map(async (queue) => {
      const others = indexes.filter((index) => (tasks[index] as NewTask).queue !== queue);
      for (let from = 0; from < others.length; from += mostInScript) {
        const part = others.slice(from, from + mostInScript);
        const ids = part.map((index) => (tasks[index] as NewTask).id);
        const answers = await connection.run('findTasks', keys.queue(queue), ids, { op: 'enqueue', writes: false });
        for (const [position, index] of part.entries()) if ((answers as number[])[position] === 1) found.add(index);
      }
    }),
  );
  return found;
}

async function storeInQueues(
  context: EnqueueContext,
  tasks: readonly NewTask[],
  byQueue: ReadonlyMap<string, readonly number[]>,
  outcomes: EnqueueOutcome[],
): Promise<void> {
  const parts: Part[] = [];
  const stored: Promise<void>[] = [];
  for (const [queue, mine] of byQueue) {
    for (const sliced of slice(tasks, mine)) {
      const part = { queue, ...sliced };
      parts.push(part);
      // A connection keeps the order of what is sent on it. The server works on a part while the next one is written.
      stored.push(storePart(context, tasks, part, outcomes));
    }
  }
  await (parts.length === 1 ? stored[0] : refuseInPart(parts, stored, outcomes));
}

/**
 * What one queue's server cannot take must not hold back what another one has stored.
 * @throws MillraceError when nothing is stored, or when that is not known of a part
 */
async function refuseInPart(
  parts: readonly Part[],
  stored: readonly Promise<void>[],
  outcomes: EnqueueOutcome[],
): Promise<void> {
  const results = await Promise.allSettled(stored);
  if (results.every(({ status }) => status === 'fulfilled')) return;
  const isClear = results.every((result) => result.status === 'fulfilled' || isRefusal(result.reason));
  if (!isClear || results.every(({ status }) => status === 'rejected')) return allParts(stored);
  for (const [number, result] of results.entries()) {
    if (result.status === 'fulfilled') continue;
    for (const index of parts[number]?.indexes ?? []) outcomes[index] = { status: 'rejected', error: result.reason };
  }
}

/** What enqueue-tasks.lua answers. */
type Reply = [all: number, first: number, each: string[], isGiven: number];

interface Part {
  readonly queue: string;
  readonly indexes: readonly number[];
  readonly contents: readonly string[];
}

/** Parts of at most so many tasks and characters. */
function* slice(tasks: readonly NewTask[], indexes: readonly number[]): Generator<Omit<Part, 'queue'>> {
  let part = { indexes: [] as number[], contents: [] as string[] };
  let text = 0;
  let most = indexes.length <= mostInScript ? mostInScript : firstInScript;
  for (const index of indexes) {
    const content = writeContent(tasks[index] as NewTask);
    if (part.indexes.length === most || (part.indexes.length > 0 && text + content.length > mostText)) {
      yield part;
      part = { indexes: [], contents: [] };
      text = 0;
      most = mostInScript;
    }
    part.indexes.push(index);
    part.contents.push(content);
    text += content.length;
  }
  if (part.indexes.length > 0) yield part;
}

async function storePart(
  context: EnqueueContext,
  tasks: readonly NewTask[],
  { queue, indexes, contents }: Part,
  outcomes: EnqueueOutcome[],
): Promise<void> {
  const { connection, keys, settings, registry, locator, wake } = context;
  const { runs, special, isRising } = describe(tasks, indexes);
  const ids = indexes.map((index) => (tasks[index] as NewTask).id);
  const packed = packIds(ids);
  const args = [
    ...[String(settings.maxQueueLength ?? 0), runs, special, String(ids.length), packed, isRising ? '1' : ''],
    ...contents,
    ...(packed === '' ? ids : []),
  ];
  const reply = (await connection.run('enqueueTasks', keys.queue(queue), args, call)) as Reply;
  const [all, first, each, isGiven] = reply;
  // It may have been written down long ago, and the server emptied since.
  if (first === 1) {
    await registry.add([queue], 'enqueue', true).catch((error: unknown) => {
      throw doneInPart(error, call.op);
    });
  }
  locator.note(ids, queue);
  if (isGiven === 0) wake(queue);
  for (let position = 0; position < indexes.length; position++) {
    const outcome = all === 1 ? accepted : readOutcome(each[position] ?? 'a', queue, settings);
    outcomes[indexes[position] as number] = outcome;
  }
}

/** All in one text, if it can be cut by the number of bytes; an argument each is dear on both sides. */
function packIds(ids: readonly string[]): string {
  const length = ids[0]?.length;
  if (ids.some((id) => id.length !== length)) return '';
  const text = ids.join('');
  return Buffer.byteLength(text) === text.length ? text : '';
}

/** The ids that are made here look so, and sort alike in every language. */
const madeHere = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/;

interface Description {
  /** Name, priority and length of each run of tasks that share the first two, as JSON. */
  readonly runs: string;
  /** What is not plain about which task, as JSON. */
  readonly special: string;
  /** Whether all ids are said to be fresh, look as those that are made here, and rise. */
  readonly isRising: boolean;
}

function describe(tasks: readonly NewTask[], indexes: readonly number[]): Description {
  const runs: (string | number)[] = [];
  const special: Record<number, unknown> = {};
  let isSpecial = false;
  let isRising = true;
  let before: NewTask | undefined;
  for (let position = 0; position < indexes.length; position++) {
    const task = tasks[indexes[position] as number] as NewTask;
    if (task.name === before?.name && task.priority === before.priority) {
      runs[runs.length - 1] = (runs.at(-1) as number) + 1;
    } else {
      runs.push(task.name, task.priority, 1);
    }
    isRising &&= task.fresh === true && madeHere.test(task.id) && (before === undefined || task.id > before.id);
    before = task;
    if (isPlain(task)) continue;
    isSpecial = true;
    const { delayMs, runAt = false, expiresInMs = false, expiresAt = false } = task;
    special[position + 1] = [delayMs, runAt, expiresInMs, expiresAt, task.onConflict === 'replace'];
  }
  return { runs: JSON.stringify(runs), special: isSpecial ? JSON.stringify(special) : '', isRising };
}

function isPlain({ delayMs, runAt, expiresInMs, expiresAt, key }: NewTask): boolean {
  return (
    delayMs === 0 && runAt === undefined && expiresInMs === undefined && expiresAt === undefined && key === undefined
  );
}

function readOutcome(text: string, queue: string, settings: StoreSettings): EnqueueOutcome {
  const rest = text.slice(1);
  switch (text[0]) {
    case 'd':
      return { status: 'duplicate', existingId: rest };
    case 'r':
      return { status: 'replaced', existingId: rest };
    case 'f': {
      const message = `queue '${queue}' holds ${settings.maxQueueLength} waiting tasks, its maxQueueLength; try again later`;
      const details = { op: 'enqueue', adapter: 'redis', option: 'maxQueueLength', reason: 'queue-full' };
      return { status: 'rejected', error: new BackpressureError(message, details) };
    }
    default:
      return accepted;
  }
}
