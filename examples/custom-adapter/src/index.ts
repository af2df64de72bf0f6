import { fileURLToPath } from 'node:url';
import * as core from '@millrace/core';
import * as kit from '@millrace/core/adapter';
import { capabilities } from './capabilities.ts';
import { openSession } from './session.ts';
import { recordOf, Store } from './store.ts';

/** `directory` is made when it is not there, and belongs to the broker alone; `clock` is for tests. */
export type FileBrokerOptions = { readonly directory: string; readonly clock?: core.Clock };

const unsupported = (capability: string) =>
  new core.UnsupportedError(capability, `the file broker has no ${capability}`, { adapter: 'file' });
const down = ({ message }: Error): core.BrokerHealth => ({ state: 'down', detail: message });
const counted = ['pending', 'scheduled', 'retrying', 'running'] as const;

/** For `registerAdapter` of core: afterwards `connect('file:///var/lib/tasks')` works. */
export const adapter: core.Adapter = {
  name: 'file',
  schemes: ['file'],
  connect(url) {
    if (/^file:\/\/\/[^?#]+$/.test(url)) return fileBroker({ directory: fileURLToPath(url) });
    throw new core.ConfigurationError('the URL must look like file:///directory', { adapter: 'file', option: 'url' });
  },
};

/** A broker that keeps its tasks in a directory, for the clients of one process. */
export function fileBroker(options: FileBrokerOptions): core.Broker {
  kit.checkKnownOptions(options, ['directory', 'clock'], 'fileBroker');
  const { directory, clock = core.systemClock } = options;
  const wakeups = new kit.Wakeups(clock);
  const sessions = new Set<core.Session>();
  const open = async (): Promise<Store> => Store.open(directory, wakeups);
  const lifecycle = new kit.Lifecycle('file', open, async () => {
    for (const session of sessions) await session.end();
    Store.close(wakeups);
  });

  async function step<T>(op: string, body: (store: Store, now: number) => T): Promise<T> {
    return lifecycle.require(op).step(op, clock, body);
  }

  function refuse(capability: string): never {
    lifecycle.require(capability);
    throw unsupported(capability);
  }

  const no = (capability: string) => async () => refuse(capability);
  const queues: core.QueueStore = {
    stats: (names) =>
      step('queues.stats', (store, now) => {
        const records = [...store.rows.values()].map((row) => recordOf(row, now));
        return [...new Set(names ?? records.map(({ queue }) => queue))].map((queue) => {
          const count = (state: string) => records.filter((r) => r.queue === queue && r.state === state).length;
          return { queue, paused: false, ...Object.fromEntries(counted.map((state) => [state, count(state)])) };
        });
      }),
    ...{ pause: no('queues.pause'), resume: no('queues.pause'), purge: no('queues.purge') },
  };
  const tasks: core.TaskStore = {
    get: (ids) =>
      step('tasks.get', (store, now) => ids.map((id) => store.rows.get(id)).map((row) => row && recordOf(row, now))),
    ...{ list: no('tasks.list'), count: no('tasks.count'), pause: no('tasks.pause'), resume: no('tasks.resume') },
    ...{ rerun: no('tasks.rerun'), reschedule: no('tasks.reschedule'), update: no('tasks.update') },
    ...{ remove: no('tasks.remove'), wait: no('tasks.wait'), cancel: no('tasks.cancel') },
    events: () => refuse('tasks.events'),
  };

  return {
    ...{ kind: 'file', queues, tasks, close: () => lifecycle.close() },
    open: () => lifecycle.open().then(() => capabilities),
    enqueue: async (batch, { transaction, signal } = {}) => {
      lifecycle.require('enqueue');
      kit.throwIfAborted(signal, 'enqueue');
      if (transaction !== undefined) refuse('transactions');
      kit.checkInteger(batch.length, 'tasks', 0, capabilities.batch.maxEnqueue);
      return step('enqueue', (store, now) => batch.map((task) => enqueue(store, task, now)));
    },
    openSession: async (session) => {
      const store = lifecycle.require('openSession');
      kit.checkSessionOptions(session, capabilities);
      return openSession({ store, clock, wakeups, sessions }, session);
    },
    maintain: ({ maxTasks }) => step('maintain', (store) => store.maintain(clock, maxTasks)),
    health: () => step('health', (): core.BrokerHealth => ({ state: 'ready' })).catch(down),
  };
}

function enqueue(store: Store, task: core.NewTask, now: number): core.EnqueueOutcome {
  const error = kit.findTaskError(task, capabilities) ?? (task.key === undefined ? undefined : unsupported('unique'));
  if (error !== undefined) return { status: 'rejected', error };
  if (store.rows.has(task.id)) return { status: 'duplicate', existingId: task.id };
  const { delayMs, runAt = now + delayMs, expiresInMs, keyUntil: _k, onConflict: _c, fresh: _f, ...fields } = task;
  const initial = { state: 'pending', attempt: 0, fence: 0, errors: [], log: [], createdAt: now } as const;
  const expiresAt = expiresInMs === undefined ? task.expiresAt : now + expiresInMs;
  store.save({ ...fields, ...initial, headers: { ...task.headers }, runAt: Math.max(now, runAt) }, { expiresAt });
  return { status: 'accepted' };
}
