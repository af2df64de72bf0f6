import type { Broker, Capabilities, Clock, Session } from '@millrace/core';
import { brokenBroker, type Mutant } from './mutant.ts';

/** Calls a claim as long as it takes, or until it is told to stop, asking every `pollMs` only. */
async function poll(
  clock: Clock,
  inner: Session,
  pollMs: number,
  request: Parameters<Session['claim']>[0],
): ReturnType<Session['claim']> {
  const end = clock.monotonic() + request.waitMs;
  for (;;) {
    const deliveries = await inner.claim({ ...request, waitMs: 0 });
    const leftMs = end - clock.monotonic();
    if (deliveries.length > 0 || leftMs <= 0 || request.signal?.aborted === true || inner.lost.aborted)
      return deliveries;
    await new Promise<void>((resolve) => {
      const timer = clock.setTimer(resolve, Math.min(leftMs, pollMs), { keepAlive: true });
      const stop = (): void => {
        clock.clearTimer(timer);
        resolve();
      };
      request.signal?.addEventListener('abort', stop, { once: true });
      inner.lost.addEventListener('abort', stop, { once: true });
    });
  }
}

/** Loses everything when the last client of a namespace closes, and claims that it does not. */
const keepsNothing: Mutant = {
  name: 'keeps-nothing',
  defect: 'what was accepted is gone when the last client closes, although durability is claimed',
  caughtBy: 'MOD-20',
  breakHarness(harness) {
    const lives = new Map<string, { open: number; life: number }>();
    return {
      ...harness,
      connect(target) {
        const { namespace } = target;
        const state = lives.get(namespace) ?? { open: 0, life: 0 };
        lives.set(namespace, state);
        const inner = harness.connect({ ...target, namespace: `${namespace}_9${state.life}` });
        let capabilities: Capabilities | undefined;
        const changed: Pick<Broker<unknown>, 'open' | 'close'> = {
          async open() {
            const claimed = await inner.open();
            if (capabilities === undefined) state.open += 1;
            capabilities ??= Object.freeze({ ...claimed, durability: 'node' as const });
            return capabilities;
          },
          async close() {
            await inner.close();
            if (capabilities === undefined) return;
            state.open -= 1;
            if (state.open === 0) state.life += 1;
          },
        };
        return new Proxy(inner, {
          get(broker, name) {
            const value: unknown = name in changed ? Reflect.get(changed, name) : Reflect.get(broker, name, broker);
            return typeof value === 'function' ? value.bind(name in changed ? changed : broker) : value;
          },
        });
      },
    };
  },
};

/** Defects of waking, of giving up, and of keeping. */
export const keepingMutants: readonly Mutant[] = [
  keepsNothing,
  brokenBroker(
    'polls-although-it-claims-push',
    'claims find work by polling, although push is claimed',
    'CON-09',
    (_scratch, _inner, { clock }) => ({
      session: (inner) => ({ claim: (request) => poll(clock, inner, 1_000, request) }),
    }),
  ),
  brokenBroker(
    'due-tasks-are-polled-for',
    'new tasks are pushed, but tasks that fall due are found by polling',
    'DLY-07',
    (scratch, _inner, { clock }) => ({
      broker: (inner) => ({
        async enqueue(tasks, options) {
          const outcomes = await inner.enqueue(tasks, options);
          const wakes = scratch.remember('wake', () => new Set<() => void>());
          if (tasks.some((task) => task.delayMs === 0)) for (const wake of wakes) wake();
          return outcomes;
        },
      }),
      session: (inner) => ({
        async claim(request) {
          const wakes = scratch.remember('wake', () => new Set<() => void>());
          const end = clock.monotonic() + request.waitMs;
          for (;;) {
            const told = new AbortController();
            const wake = (): void => told.abort();
            wakes.add(wake);
            request.signal?.addEventListener('abort', wake, { once: true });
            const waitMs = Math.max(0, end - clock.monotonic());
            const deliveries = await poll(clock, inner, 1_000, { ...request, waitMs, signal: told.signal });
            wakes.delete(wake);
            const over = clock.monotonic() >= end || request.signal?.aborted === true || inner.lost.aborted;
            if (deliveries.length > 0 || over) return deliveries;
          }
        },
      }),
    }),
  ),
  brokenBroker('aborted-claim-takes', 'a claim whose signal was aborted before takes a task', 'BAD-06', () => ({
    session: (inner) => ({
      claim: ({ signal, ...request }) =>
        inner.claim(signal?.aborted ? request : { ...request, ...(signal && { signal }) }),
    }),
  })),
  brokenBroker('never-says-lost', 'a session that missed its beats does not tell its holder', 'LSE-24', () => ({
    broker: (inner) => ({
      async openSession(options) {
        const session = await inner.openSession(options);
        return { ...bound(session), id: session.id, lost: new AbortController().signal };
      },
    }),
  })),
  brokenBroker('beat-pretended', 'beats for sessions of others are answered alive and go nowhere', 'LSE-25', () => ({
    broker: () => ({ beat: async () => 'alive' as const }),
  })),
  brokenBroker('retry-has-a-gap', 'while a task is being retried, it is nowhere', 'RTY-15', (scratch) => ({
    tasks: (inner) => ({
      async get(ids) {
        const gone = scratch.remember('gap', () => new Set<string>());
        return (await inner.get(ids)).map((record) => (record && gone.has(record.id) ? undefined : record));
      },
    }),
    session: (inner) => ({
      async settle(operations) {
        const gone = scratch.remember('gap', () => new Set<string>());
        const ids = operations.filter(({ type }) => type === 'retry').map(({ lease }) => lease.taskId);
        for (const id of ids) gone.add(id);
        await new Promise((resolve) => setImmediate(resolve));
        const outcomes = await inner.settle(operations);
        for (const id of ids) gone.delete(id);
        return outcomes;
      },
    }),
  })),
  brokenBroker('listener-ends-session', 'a session whose listener throws is over', 'OBS-02', () => ({
    broker: (inner) => ({
      async openSession(options) {
        const session = await inner.openSession({
          ...options,
          onSignal: (signal) => {
            try {
              options.onSignal(signal);
            } catch {
              void session.end();
            }
          },
        });
        return session;
      },
    }),
  })),
  brokenBroker('rerun-keeps-what-was', 'a rerun keeps the checkpoint of the last run', 'STM-13', (scratch) => ({
    session: (inner) => ({
      async claim(request) {
        const kept = scratch.remember('checkpoints', () => new Map<string, string>());
        return (await inner.claim(request)).map((delivery) => {
          const checkpoint = kept.get(delivery.lease.taskId);
          return checkpoint === undefined ? delivery : { ...delivery, checkpoint };
        });
      },
      report(reports) {
        const kept = scratch.remember('checkpoints', () => new Map<string, string>());
        for (const { lease, checkpoint } of reports) if (checkpoint !== undefined) kept.set(lease.taskId, checkpoint);
        return inner.report(reports);
      },
    }),
  })),
];

/** The calls of a session, as properties. */
function bound(session: Session): Pick<Session, 'claim' | 'report' | 'settle' | 'end'> {
  return {
    claim: (request) => session.claim(request),
    report: (reports) => session.report(reports),
    settle: (operations) => session.settle(operations),
    end: () => session.end(),
  };
}
