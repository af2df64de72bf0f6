import {
  type ControlOutcome,
  type EnqueueOutcome,
  IndeterminateError,
  isMillraceError,
  type NewTask,
  type SettleOutcome,
  UnavailableError,
} from '@millrace/core';
import { buildTask } from '../context/builders.ts';
import { brokenBroker, type Mutant } from '../mutants/mutant.ts';

const unreachable = (error: unknown): boolean =>
  isMillraceError(error, 'UNAVAILABLE') || isMillraceError(error, 'INDETERMINATE');

const never = new Promise<never>(() => {});

/** What a call rejects with when the backend cannot be reached, replaced by something else. */
async function instead<T>(call: Promise<T>, then: (error: unknown) => T | Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    if (!unreachable(error)) throw error;
    return then(error);
  }
}

function settling(
  name: string,
  defect: string,
  caughtBy: string,
  answer: (outcome: SettleOutcome) => SettleOutcome,
): Mutant {
  return brokenBroker(name, defect, caughtBy, () => ({
    session: (inner) => ({ settle: async (operations) => (await inner.settle(operations)).map(answer) }),
  }));
}

/**
 * Defects that only show when the network breaks: what drivers do by default, and what their users tend to write. They
 * need a harness with a `url`.
 */
export const faultMutants: readonly Mutant[] = [
  brokenBroker(
    'unknown-called-not-applied',
    'an enqueue whose reply was lost says that it was not applied',
    'FLT-04',
    () => ({
      broker: (inner) => ({
        enqueue: (tasks, options) =>
          instead(inner.enqueue(tasks, options), () => {
            throw new UnavailableError('the connection was lost');
          }),
      }),
    }),
  ),
  brokenBroker(
    'resends-as-another-task',
    'an enqueue whose reply was lost is sent again under a new id',
    'FLT-04',
    () => ({
      broker: (inner) => ({
        enqueue: (tasks, options) =>
          instead(inner.enqueue(tasks, options), () =>
            inner.enqueue(
              tasks.map((task) => ({ ...task, id: buildTask().id })),
              options,
            ),
          ),
      }),
    }),
  ),
  brokenBroker(
    'part-called-nothing',
    'an enqueue of which a later part failed says that nothing was stored',
    'FLT-41',
    () => ({
      broker: (inner) => ({
        async enqueue(tasks, options) {
          const outcomes = new Map<NewTask, EnqueueOutcome>();
          for (const queue of new Set(tasks.map((task) => task.queue))) {
            const part = tasks.filter((task) => task.queue === queue);
            const answers = await instead(inner.enqueue(part, options), (error) => {
              throw outcomes.size === 0 ? error : new UnavailableError('the connection was lost');
            });
            for (const [index, task] of part.entries()) outcomes.set(task, answers[index] as EnqueueOutcome);
          }
          return tasks.map((task) => outcomes.get(task) as EnqueueOutcome);
        },
      }),
    }),
  ),
  brokenBroker(
    'cancels-some-and-says-none',
    'a cancel of many tasks that failed on the way says that none was cancelled',
    'FLT-41',
    () => ({
      tasks: (inner) => ({
        async cancel(ids) {
          const outcomes: ControlOutcome[] = [];
          for (const id of ids) {
            const answers = await instead(inner.cancel([id]), (error) => {
              throw outcomes.length === 0 ? error : new UnavailableError('the connection was lost');
            });
            outcomes.push(...answers);
          }
          return outcomes;
        },
      }),
    }),
  ),
  brokenBroker('accepts-what-it-lost', 'an enqueue that could not be sent is answered accepted', 'FLT-09', () => ({
    broker: (inner) => ({
      enqueue: (tasks, options) =>
        instead(inner.enqueue(tasks, options), () => tasks.map(() => ({ status: 'accepted' as const }))),
    }),
  })),
  brokenBroker('throws-what-the-driver-threw', 'an enqueue rejects with an error of the driver', 'FLT-04', () => ({
    broker: (inner) => ({
      enqueue: (tasks, options) =>
        instead(inner.enqueue(tasks, options), () => {
          throw Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' });
        }),
    }),
  })),
  brokenBroker('waits-for-ever', 'calls without an answer never end, as drivers do by default', 'FLT-10', () => ({
    broker: (inner) => ({ enqueue: (tasks, options) => instead(inner.enqueue(tasks, options), () => never) }),
  })),
  brokenBroker('gives-up-for-good', 'a broker that lost its connection once stays unavailable', 'FLT-10', () => {
    let down = false;
    const guard = async <T>(call: () => Promise<T>): Promise<T> => {
      if (down) throw new UnavailableError('not connected');
      return instead(call(), (error) => {
        down = true;
        throw error;
      });
    };
    return {
      broker: (inner) => ({
        enqueue: (tasks, options) => guard(() => inner.enqueue(tasks, options)),
        openSession: (options) => guard(() => inner.openSession(options)),
      }),
    };
  }),
  brokenBroker(
    'settles-without-an-answer',
    'a settle is answered applied before the broker has answered',
    'FLT-06',
    () => ({
      session: (inner) => ({
        async settle(operations) {
          void inner.settle(operations).catch(() => {});
          return operations.map(() => 'applied' as const);
        },
      }),
    }),
  ),
  brokenBroker('settle-throws', 'a settle whose reply was lost rejects', 'FLT-10', () => ({
    session: (inner) => ({
      async settle(operations) {
        const outcomes = await inner.settle(operations);
        if (outcomes.includes('unknown')) throw new IndeterminateError('the connection was lost');
        return outcomes;
      },
    }),
  })),
  settling('applied-called-stale', 'an applied settle is answered stale', 'FLT-06', (outcome) =>
    outcome === 'applied' ? 'stale' : outcome,
  ),
  brokenBroker(
    'holder-trusts-for-ever',
    'a session whose heartbeats are not answered does not notice',
    'LSE-10',
    () => ({
      broker: (inner) => ({
        openSession: async (options) => withLost(await inner.openSession(options), () => new AbortController().signal),
      }),
    }),
  ),
  brokenBroker(
    'holder-notices-late',
    'a session is given up a whole ttl after it cannot be trusted any more',
    'LSE-10',
    () => ({
      broker: (inner) => ({
        openSession: async (options) =>
          withLost(await inner.openSession(options), (lost) => {
            const late = new AbortController();
            lost.addEventListener('abort', () => setTimeout(() => late.abort(lost.reason), options.ttlMs).unref());
            return late.signal;
          }),
      }),
    }),
  ),
  brokenBroker(
    'reconnects-without-a-pause',
    'while the backend refuses connections, it tries again at once',
    'FLT-14',
    () => ({
      broker: (inner) => {
        let hammering = false;
        const hammer = async (): Promise<void> => {
          if (hammering) return;
          hammering = true;
          // Many at once, or a slow machine would be the pause that is missing.
          const askUntilUp = async (): Promise<void> => {
            while ((await inner.health()).state === 'down');
          };
          await Promise.all(Array.from({ length: 10 }, askUntilUp));
          hammering = false;
        };
        return {
          enqueue: (tasks, options) =>
            instead(inner.enqueue(tasks, options), (error) => {
              void hammer();
              throw error;
            }),
        };
      },
    }),
  ),
  brokenBroker('control-not-applied', 'a cancel whose reply was lost says that it was not applied', 'FLT-36', () => ({
    tasks: (inner) => ({
      cancel: (ids) =>
        instead(inner.cancel(ids), () => {
          throw new UnavailableError('the connection was lost');
        }),
    }),
  })),
  brokenBroker(
    'told-by-notification-only',
    'stop requests reach the holder by notification, never by heartbeat',
    'CAN-09',
    () => ({
      broker: (inner) => ({ openSession: (options) => inner.openSession({ ...options, onSignal: () => {} }) }),
    }),
  ),
];

/** The session with another `lost`. */
function withLost<S extends { readonly lost: AbortSignal }>(session: S, change: (lost: AbortSignal) => AbortSignal): S {
  const lost = change(session.lost);
  return new Proxy(session, {
    get(target, property) {
      if (property === 'lost') return lost;
      const value: unknown = Reflect.get(target, property, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}
