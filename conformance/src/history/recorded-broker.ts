import type {
  Broker,
  BrokerEnqueueOptions,
  BrokerHealth,
  Capabilities,
  EnqueueOutcome,
  MaintenanceBudget,
  MaintenanceReport,
  NewTask,
  QueueStore,
  ScheduleStore,
  Session,
  SessionOptions,
  TaskStore,
} from '@millrace/core';
import { contentDigest } from './digest.ts';
import type { EventArgs, EventFields } from './event.ts';
import { RecordedRole } from './recorded-role.ts';
import { RecordedSession } from './recorded-session.ts';
import { recordTaskStore } from './recorded-task-store.ts';
import type { OpenCall, Recorder } from './recorder.ts';
import { transactionName } from './transaction-name.ts';

/** The same broker, with what it is asked and what it answers written down. `role` says for whom: `producer`, `w1`. */
export function recordBroker<Tx>(broker: Broker<Tx>, recorder: Recorder, role: string): Broker<Tx> {
  return new RecordedBroker(broker, new RecordedRole(recorder, role));
}

class RecordedBroker<Tx> implements Broker<Tx> {
  readonly kind: string;
  readonly queues: QueueStore;
  readonly tasks?: TaskStore;
  readonly schedules?: ScheduleStore;
  /** Not a part of any task's history, as the sessions' own beats are not. */
  readonly beat?: NonNullable<Broker<Tx>['beat']>;
  readonly #broker: Broker<Tx>;
  readonly #role: RecordedRole;

  constructor(broker: Broker<Tx>, role: RecordedRole) {
    this.#broker = broker;
    this.#role = role;
    this.kind = broker.kind;
    this.queues = recordQueues(broker.queues, role);
    if (broker.tasks !== undefined) this.tasks = recordTaskStore(broker.tasks, role);
    if (broker.beat !== undefined) this.beat = (sessionId) => broker.beat?.(sessionId) ?? Promise.resolve('lost');
    if (broker.schedules !== undefined) this.schedules = recordSchedules(broker.schedules, role);
  }

  open(): Promise<Capabilities> {
    return this.#role.whole('open', {}, () => this.#broker.open());
  }

  enqueue(tasks: readonly NewTask[], options?: BrokerEnqueueOptions<Tx>): Promise<EnqueueOutcome[]> {
    const tx = options?.transaction === undefined ? undefined : transactionName(options.transaction);
    const calls = beginEnqueue(this.#role, tasks, tx);
    return this.#role.each(calls, () => this.#broker.enqueue(tasks, options), tellEnqueue);
  }

  async openSession(options: SessionOptions): Promise<Session> {
    const role = this.#role;
    const heard: SessionOptions = {
      ...options,
      onSignal: (signal) => {
        const { taskId: task, fence, request } = signal;
        role.note('signal', { task, fence, args: { request } });
        options.onSignal(signal);
      },
    };
    const about = { ttlMs: options.ttlMs };
    const session = await role.whole(
      'openSession',
      { args: about },
      () => this.#broker.openSession(heard),
      (opened) => ({ args: { ...about, session: opened.id } }),
    );
    return new RecordedSession(session, role);
  }

  maintain(budget: MaintenanceBudget): Promise<MaintenanceReport> {
    return this.#role.whole(
      'maintain',
      { args: { limit: budget.maxTasks } },
      () => this.#broker.maintain(budget),
      ({ reclaimed, expired, pruned }) => ({ args: { counts: { reclaimed, expired, pruned } } }),
    );
  }

  health(): Promise<BrokerHealth> {
    return this.#broker.health();
  }

  close(): Promise<void> {
    return this.#role.whole('close', {}, () => this.#broker.close());
  }
}

function beginEnqueue(role: RecordedRole, tasks: readonly NewTask[], tx: string | undefined): OpenCall[] {
  let batch: number | undefined;
  return tasks.map((task) => {
    const args: EventArgs = {
      ...enqueueArgs(task, role.epoch()),
      ...(tx !== undefined && { tx }),
      ...(batch !== undefined && { batch }),
    };
    const call = role.begin('enqueue', { ...addressOf(task), hash: contentDigest(task), args });
    if (tasks.length > 1) batch ??= call.seq;
    return call;
  });
}

function addressOf(task: NewTask): EventFields {
  return { task: task.id, queue: task.queue, ...(task.key !== undefined && { key: task.key }) };
}

function enqueueArgs(task: NewTask, epoch: number): EventArgs {
  const { name, priority, maxAttempts, group, keyUntil, onConflict } = task;
  const expiresInMs = task.expiresAt === undefined ? task.expiresInMs : task.expiresAt - epoch;
  return {
    name,
    priority,
    ...(Number.isFinite(maxAttempts) && { maxAttempts }),
    ...(task.runAt === undefined
      ? task.delayMs > 0 && { delayMs: task.delayMs }
      : { delayMs: task.runAt - epoch, absolute: true }),
    ...(expiresInMs !== undefined && { expiresInMs }),
    ...(group !== undefined && { group }),
    ...(task.key !== undefined && { keyUntil: keyUntil ?? 'settled', onConflict: onConflict ?? 'ignore' }),
  };
}

function tellEnqueue(outcome: EnqueueOutcome): { readonly outcome: string; readonly fields?: EventFields } {
  if (outcome.status === 'accepted') return { outcome: 'accepted' };
  if (outcome.status === 'rejected') return { outcome: 'rejected', fields: { args: { detail: outcome.error.code } } };
  return { outcome: outcome.status, fields: { args: { existingId: outcome.existingId } } };
}

function recordQueues(queues: QueueStore, role: RecordedRole): QueueStore {
  return {
    stats: (names) =>
      role.whole('queueStats', names === undefined ? {} : { args: { queues: names } }, () => queues.stats(names)),
    pause: (queue) => role.whole('queuePause', { queue }, () => queues.pause(queue)),
    resume: (queue) => role.whole('queueResume', { queue }, () => queues.resume(queue)),
    purge: (queue) =>
      role.whole(
        'queuePurge',
        { queue },
        () => queues.purge(queue),
        (count) => ({ args: { count } }),
      ),
  };
}

/** A fired schedule enqueues tasks; the rest of the store is not part of a task's history. */
function recordSchedules(schedules: ScheduleStore, role: RecordedRole): ScheduleStore {
  return {
    put: (records) => schedules.put(records),
    list: () => schedules.list(),
    remove: (ids) => schedules.remove(ids),
    due: (limit) => schedules.due(limit),
    fire: async (id, tick, next, tasks) => {
      const calls = beginEnqueue(role, tasks, undefined);
      let outcome: 'applied' | 'stale' = 'stale';
      await role.each(
        calls,
        async () => {
          outcome = await schedules.fire(id, tick, next, tasks);
          return calls.map(() => outcome);
        },
        (fired) => ({ outcome: fired === 'applied' ? 'accepted' : 'rejected' }),
      );
      return outcome;
    },
  };
}
