import { checkInteger, checkName } from '../adapter/checks.ts';
import type { Broker } from '../broker/broker.ts';
import type { Capabilities, TaskCapabilities } from '../broker/capabilities.ts';
import type { ControlOutcome, DueTime, TaskChanges, TaskFilter, TaskPage, TaskStore } from '../broker/task-store.ts';
import type { Clock } from '../clock.ts';
import { type Duration, parseDuration } from '../duration.ts';
import { AbortedError, NotFoundError, TaskFailedError, UnsupportedError, ValidationError } from '../errors.ts';
import { checkKnownOptions } from '../known-options.ts';
import { decodePayload, encodePayload } from '../payload.ts';
import { isTerminal } from '../state-machine.ts';
import { priorityRange, type TaskRecord } from '../task.ts';
import type { ResultOptions, TaskAccess } from './task-handle.ts';

/** Lookup and control of stored tasks, by id. Operations the broker does not have throw `UnsupportedError`. */
export interface TaskControl extends TaskAccess {
  list(filter?: TaskFilter, page?: { readonly limit?: number; readonly cursor?: string }): Promise<TaskPage>;
  /** Every task that matches, page by page. */
  all(filter?: TaskFilter): AsyncIterable<TaskRecord>;
  count(filter?: TaskFilter): Promise<number>;
  pause(id: string): Promise<ControlOutcome>;
  resume(id: string): Promise<ControlOutcome>;
  /** Runs an ended task again; attempts start at 1. */
  rerun(id: string): Promise<ControlOutcome>;
  /** Moves a waiting task's due time: to an instant, or to a span from now. */
  reschedule(id: string, due: Duration | Date): Promise<ControlOutcome>;
  /** Changes a waiting task. */
  update(
    id: string,
    changes: { readonly input?: unknown; readonly priority?: number; readonly group?: string; readonly owner?: string },
  ): Promise<ControlOutcome>;
  remove(id: string): Promise<ControlOutcome>;
}

// Long enough to be cheap, short enough that a lost answer is asked for again soon.
const waitSliceMs = 20_000;

/** @param opened gives the capabilities once the broker is open. */
export function createTaskControl(
  broker: Broker<unknown>,
  opened: () => Promise<Capabilities>,
  clock: Clock,
): TaskControl {
  async function store(operation: keyof TaskCapabilities): Promise<TaskStore> {
    const capabilities = await opened();
    const claimed = capabilities.tasks[operation];
    const there = Array.isArray(claimed) ? claimed.length > 0 : claimed === true;
    if (broker.tasks === undefined || !there) {
      throw new UnsupportedError(
        `tasks.${operation}`,
        `the ${broker.kind} broker cannot ${operation} tasks; choose a broker whose capabilities have tasks.${operation}`,
        { op: `tasks.${operation}`, adapter: broker.kind },
      );
    }
    return broker.tasks;
  }

  const one = async (operation: 'cancel' | 'pause' | 'rerun' | 'remove', id: string): Promise<ControlOutcome> =>
    first(await (await store(operation))[operation]([id]));

  return {
    get: async (id) => (await (await store('get')).get([id]))[0],
    list: async (filter = {}, page = {}) =>
      (await store('list')).list(filter, {
        limit: page.limit ?? 100,
        ...(page.cursor === undefined ? {} : { cursor: page.cursor }),
      }),
    async *all(filter = {}) {
      const tasks = await store('list');
      let cursor: string | undefined;
      do {
        const page = await tasks.list(filter, { limit: 500, ...(cursor === undefined ? {} : { cursor }) });
        yield* page.tasks;
        cursor = page.cursor;
      } while (cursor !== undefined);
    },
    count: async (filter = {}) => (await store('count')).count(filter),
    cancel: (id) => one('cancel', id),
    pause: (id) => one('pause', id),
    resume: async (id) => first(await (await store('pause')).resume([id])),
    rerun: (id) => one('rerun', id),
    remove: (id) => one('remove', id),
    reschedule: async (id, due) => first(await (await store('reschedule')).reschedule([id], dueTime(due))),
    update: async (id, changes) => {
      const checked = checkChanges(changes);
      return first(await (await store('update')).update([id], checked));
    },
    result: async (id, options) => awaitResult(await store('wait'), id, options, clock),
  };
}

function first(outcomes: readonly ControlOutcome[]): ControlOutcome {
  return outcomes[0] ?? 'not-found';
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Absent fields stay absent: a broker takes a field that is there for a change. */
function checkChanges(changes: Parameters<TaskControl['update']>[1]): TaskChanges {
  checkKnownOptions(changes, ['input', 'priority', 'group', 'owner'], 'tasks.update');
  const checked: Mutable<TaskChanges> = {};
  const input = encodePayload(changes.input, 'input');
  if (input !== undefined) checked.input = input;
  if (changes.priority !== undefined) {
    checked.priority = checkInteger(changes.priority, 'priority', priorityRange.lowest, priorityRange.highest);
  }
  if (changes.group !== undefined) checked.group = checkName(changes.group, 'group');
  if (changes.owner !== undefined) checked.owner = checkName(changes.owner, 'owner');
  return checked;
}

function dueTime(due: Duration | Date): DueTime {
  if (!(due instanceof Date)) return { delayMs: parseDuration(due, 'due') };
  if (Number.isNaN(due.getTime())) throw new ValidationError('due must be a valid Date', { option: 'due' });
  return { at: due.getTime() };
}

async function awaitResult(tasks: TaskStore, id: string, options: ResultOptions, clock: Clock): Promise<unknown> {
  // `result(5_000)` would wait for ever otherwise.
  checkKnownOptions(options, ['timeout', 'signal'], 'result');
  const limitMs = options.timeout === undefined ? Number.POSITIVE_INFINITY : parseDuration(options.timeout, 'timeout');
  const started = clock.monotonic();
  for (;;) {
    if (options.signal?.aborted === true) {
      throw new AbortedError('caller', `waiting for task ${id} was aborted`, {
        op: 'result',
        cause: options.signal.reason,
      });
    }
    const leftMs = limitMs - (clock.monotonic() - started);
    const waitMs = Math.max(0, Math.min(waitSliceMs, Math.ceil(leftMs)));
    const [task] = await tasks.wait(
      [id],
      options.signal === undefined ? { waitMs } : { waitMs, signal: options.signal },
    );
    if (task === undefined) throw new NotFoundError(`there is no task ${id}`, { op: 'result' });
    if (isTerminal(task.state)) return outcomeOf(task);
    if (leftMs <= 0) {
      throw new AbortedError('timeout', `task ${id} was still ${task.state} after ${limitMs} ms`, { op: 'result' });
    }
  }
}

function outcomeOf(task: TaskRecord): unknown {
  if (task.state === 'succeeded') return decodePayload(task.output);
  const last = task.errors.at(-1);
  const why = last === undefined ? '' : `: ${last.name}: ${last.message}`;
  throw new TaskFailedError(`task ${task.id} (${task.name}) ${task.state}${why}`, {
    taskId: task.id,
    state: task.state === 'cancelled' ? 'cancelled' : 'failed',
    ...(task.failure === undefined ? {} : { kind: task.failure }),
    op: 'result',
  });
}
