import type { Broker, Lease, NewTask, QueueStore, Session, TaskStore } from '@millrace/core';
import type { BrokerHarness, Target } from '../harness.ts';

/** A correct broker with one defect. The suite is only worth something if it notices. */
export interface Mutant {
  /** Kebab-case, unique. */
  readonly name: string;
  /** The defect, in one sentence. */
  readonly defect: string;
  /** Id of the scenario that must fail. Others may as well. */
  readonly caughtBy: string;
  breakHarness(harness: BrokerHarness): BrokerHarness;
}

/** What the clients of a namespace know together, as a broken backend would. */
export class Scratch {
  /** The newest lease of each task, and the session it was given to. */
  readonly held: Map<string, { readonly lease: Lease; readonly session: Session }> = new Map();
  /** Everything enqueued, in order. */
  readonly enqueued: NewTask[] = [];
  readonly #memory = new Map<string, unknown>();

  /** A value of this namespace, made when it is first asked for. */
  remember<T>(key: string, make: () => T): T {
    if (!this.#memory.has(key)) this.#memory.set(key, make());
    return this.#memory.get(key) as T;
  }
}

/** The parts of a broker that a defect changes; the rest stays. */
export interface Changes {
  readonly broker?: (inner: Broker<unknown>) => Partial<Omit<Broker<unknown>, 'tasks' | 'queues' | 'schedules'>>;
  readonly session?: (inner: Session) => Partial<Session>;
  readonly tasks?: (inner: TaskStore) => Partial<TaskStore>;
  readonly queues?: (inner: QueueStore) => Partial<QueueStore>;
}

/** A mutant whose defect is in the broker, given what its clients know together. */
export function brokenBroker(
  name: string,
  defect: string,
  caughtBy: string,
  changesOf: (scratch: Scratch, inner: Broker<unknown>, target: Target) => Changes,
): Mutant {
  return {
    name,
    defect,
    caughtBy,
    breakHarness(harness) {
      const scratches = new Map<string, Scratch>();
      return {
        ...harness,
        connect(target) {
          const scratch = scratches.get(target.namespace) ?? new Scratch();
          scratches.set(target.namespace, scratch);
          const inner = harness.connect(target);
          return decorate(inner, scratch, changesOf(scratch, inner, target));
        },
      };
    },
  };
}

/** A mutant of tasks on their way in. */
export function brokenEnqueue(
  name: string,
  defect: string,
  caughtBy: string,
  change: (task: NewTask) => NewTask,
): Mutant {
  return brokenBroker(name, defect, caughtBy, () => ({
    broker: (inner) => ({ enqueue: (tasks, options) => inner.enqueue(tasks.map(change), options) }),
  }));
}

function decorate(inner: Broker<unknown>, scratch: Scratch, changes: Changes): Broker<unknown> {
  const decorateSession = (session: Session): Session => {
    const { claimTasks } = session;
    const watched: Session = {
      id: session.id,
      lost: session.lost,
      async claim(request) {
        const deliveries = await session.claim(request);
        for (const { lease } of deliveries) scratch.held.set(lease.taskId, { lease, session });
        return deliveries;
      },
      ...(claimTasks !== undefined && {
        async claimTasks(ids) {
          const verdicts = await claimTasks.call(session, ids);
          for (const verdict of verdicts) {
            if (verdict.status !== 'claimed') continue;
            const { lease } = verdict.delivery;
            scratch.held.set(lease.taskId, { lease, session });
          }
          return verdicts;
        },
      }),
      report: (reports) => session.report(reports),
      settle: (operations) => session.settle(operations),
      end: () => session.end(),
    };
    return { ...watched, ...changes.session?.(watched) };
  };
  const watched: Broker<unknown> = {
    kind: inner.kind,
    open: () => inner.open(),
    enqueue(tasks, options) {
      scratch.enqueued.push(...tasks);
      return inner.enqueue(tasks, options);
    },
    openSession: async (options) => decorateSession(await inner.openSession(options)),
    maintain: (budget) => inner.maintain(budget),
    health: () => inner.health(),
    close: () => inner.close(),
    get queues() {
      return { ...bound(inner.queues, queueMethods), ...changes.queues?.(inner.queues) };
    },
    get tasks() {
      return inner.tasks && { ...bound(inner.tasks, taskMethods), ...changes.tasks?.(inner.tasks) };
    },
    get schedules() {
      return inner.schedules;
    },
    get beat(): Broker<unknown>['beat'] {
      return inner.beat?.bind(inner);
    },
  } as Broker<unknown>;
  // Object.assign would read the getters; defining them again keeps `tasks` absent until the broker has it.
  return Object.defineProperties(
    { ...changes.broker?.(watched) } as Broker<unknown>,
    Object.fromEntries(
      Object.entries(Object.getOwnPropertyDescriptors(watched)).filter(
        ([name]) => !(name in (changes.broker?.(watched) ?? {})),
      ),
    ),
  );
}

const queueMethods = ['stats', 'pause', 'resume', 'purge'] as const;
const taskMethods = [
  'get',
  'list',
  'count',
  'cancel',
  'pause',
  'resume',
  'rerun',
  'reschedule',
  'update',
  'remove',
  'wait',
  'events',
] as const;

/** Methods of an object that may be an instance of a class, as properties that can be spread. */
function bound<T extends object, K extends keyof T>(target: T, names: readonly K[]): Pick<T, K> {
  return Object.fromEntries(
    names.map((name) => [name, (target[name] as (...args: never[]) => unknown).bind(target)]),
  ) as unknown as Pick<T, K>;
}
