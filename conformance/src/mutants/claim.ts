import type { Delivery, SettleOp } from '@millrace/core';
import { each, settleOne } from './fence.ts';
import { brokenBroker, type Mutant } from './mutant.ts';

const inOtherSettle = (
  name: string,
  defect: string,
  caughtBy: string,
  change: (operation: SettleOp) => SettleOp,
): Mutant =>
  brokenBroker(name, defect, caughtBy, () => ({
    session: (inner) => ({ settle: (operations) => inner.settle(operations.map(change)) }),
  }));

/** Defects of claims, retries and attempts. */
export const claimMutants: readonly Mutant[] = [
  brokenBroker('claim-doubles', 'a task that was just claimed is handed out once more', 'LSE-01', (scratch) => ({
    session: (inner) => ({
      async claim(request) {
        const again = scratch.remember('again', (): Delivery[] => []);
        const doubled = again.splice(0).filter((delivery) => request.queues.includes(delivery.queue));
        const deliveries = doubled.length > 0 ? doubled : await inner.claim(request);
        if (doubled.length === 0) again.push(...deliveries);
        return deliveries.slice(0, request.limit);
      },
    }),
  })),
  brokenBroker(
    'claim-doubles-rarely',
    'one claim in thirty repeats the last delivery of another client',
    'CON-02',
    (scratch) => ({
      session: (inner) => ({
        async claim(request) {
          const state = scratch.remember('state', () => ({ count: 0, last: [] as Delivery[] }));
          const deliveries = await inner.claim(request);
          state.count += 1;
          if (state.count % 30 === 0 && deliveries.length > 0)
            return [...state.last, ...deliveries].slice(0, request.limit);
          state.last = deliveries.slice(0, 1);
          return deliveries;
        },
      }),
    }),
  ),
  brokenBroker('claim-returns-more', 'a claim returns one task more than its limit', 'CON-04', () => ({
    session: (inner) => ({ claim: (request) => inner.claim({ ...request, limit: request.limit + 1 }) }),
  })),
  brokenBroker('last-in-first-out', 'the newest task comes first', 'ORD-01', () => ({
    session: (inner) => ({
      async claim(request) {
        const deliveries = await inner.claim({ ...request, limit: 1_000 });
        const kept = deliveries.splice(-request.limit);
        await inner.settle(deliveries.map(({ lease }) => ({ type: 'release', lease })));
        return kept.reverse();
      },
    }),
  })),
  brokenBroker('names-ignored', 'a claim returns tasks of names it did not ask for', 'STM-10', (scratch) => ({
    session: (inner) => ({
      claim: (request) =>
        inner.claim({
          ...request,
          names: [...new Set([...request.names, ...scratch.enqueued.map((task) => task.name)])],
        }),
    }),
  })),
  brokenBroker(
    'wake-up-lost',
    'a claim that waits looks again only when its wait is over',
    'CON-09',
    (_scratch, _inner, { clock }) => ({
      session: (inner) => ({
        async claim(request) {
          const deliveries = await inner.claim({ ...request, waitMs: 0 });
          if (deliveries.length > 0 || request.waitMs === 0) return deliveries;
          await new Promise<void>((resolve) => {
            clock.setTimer(resolve, request.waitMs);
            request.signal?.addEventListener('abort', () => resolve());
          });
          return inner.claim({ ...request, waitMs: 0 });
        },
      }),
    }),
  ),
  brokenBroker(
    'deaf-after-what-it-must-not-give',
    'a claim that waits and is brought what it must not give answers only when its wait is over',
    'CON-18',
    (scratch, _inner, { clock }) => ({
      session: (inner) => ({
        async claim(request) {
          const [known, begun] = [scratch.enqueued.length, clock.monotonic()];
          const deliveries = await inner.claim(request);
          const came = scratch.enqueued.slice(known);
          if (came.some(({ name, expiresInMs }) => expiresInMs === 0 || !request.names.includes(name)))
            await new Promise<void>((resolve) => {
              clock.setTimer(resolve, begun + request.waitMs - clock.monotonic());
            });
          return deliveries;
        },
      }),
    }),
  ),
  brokenBroker('due-time-unwatched', 'a waiting claim is not woken by a task falling due', 'DLY-02', (scratch) => ({
    session: (inner) => ({
      async claim(request) {
        const delayed = scratch.enqueued.some((task) => task.delayMs > 0);
        if (!delayed || request.waitMs === 0) return inner.claim(request);
        const deliveries = await inner.claim({ ...request, waitMs: 0 });
        if (deliveries.length > 0) return deliveries;
        return inner.claim({ ...request, names: ['nobody has this name'] });
      },
    }),
  })),
  brokenBroker('claim-throws-on-abort', 'aborting a claim throws instead of ending the wait', 'STM-09', () => ({
    session: (inner) => ({
      async claim(request) {
        const deliveries = await inner.claim(request);
        request.signal?.throwIfAborted();
        return deliveries;
      },
    }),
  })),
  brokenBroker('attempt-off-by-one', 'the first run is attempt 0', 'MOD-08', () => ({
    session: (inner) => ({
      claim: async (request) =>
        (await inner.claim(request)).map((delivery) => ({
          ...delivery,
          lease: { ...delivery.lease, attempt: delivery.lease.attempt - 1 },
        })),
    }),
  })),
  inOtherSettle('release-charges', 'giving a task back costs an attempt', 'STM-06', (operation) =>
    operation.type === 'release'
      ? { type: 'retry', lease: operation.lease, delayMs: 0, failure: { kind: 'error', name: 'Error', message: '' } }
      : operation,
  ),
  inOtherSettle('retry-does-not-charge', 'a failed attempt is not counted', 'STM-06', (operation) =>
    operation.type === 'retry' ? { type: 'snooze', lease: operation.lease, delayMs: operation.delayMs } : operation,
  ),
  inOtherSettle('retry-delay-dropped', 'a retry is due at once', 'DLY-01', (operation) =>
    operation.type === 'retry' ? { ...operation, delayMs: 0 } : operation,
  ),
  inOtherSettle('retry-delay-in-seconds', 'the delay of a retry is taken for seconds', 'RTY-03', (operation) =>
    operation.type === 'retry' ? { ...operation, delayMs: Math.floor(operation.delayMs / 1_000) } : operation,
  ),
  inOtherSettle('output-dropped', 'what a run returned is not kept', 'STM-08', (operation) =>
    operation.type === 'complete' ? { type: 'complete', lease: operation.lease } : operation,
  ),
  inOtherSettle('failure-kind-lost', 'every failure is kept as an error', 'STM-08', (operation) =>
    operation.type === 'fail' ? { ...operation, failure: { ...operation.failure, kind: 'error' } } : operation,
  ),
  brokenBroker('dead-dropped', 'a task that failed for good disappears', 'RTY-11', (_scratch, inner) => ({
    session: (session) => ({
      settle: (operations) =>
        each(operations, async (operation) => {
          const outcome = await settleOne(session, operation);
          if (operation.type === 'fail' && outcome === 'applied') await inner.tasks?.remove([operation.lease.taskId]);
          return outcome;
        }),
    }),
  })),
  brokenBroker(
    'priority-lost-on-retry',
    'a task that is retried has the normal priority',
    'PRI-03',
    (_scratch, inner) => ({
      session: (session) => ({
        settle: (operations) =>
          each(operations, async (operation) => {
            const outcome = await settleOne(session, operation);
            if (operation.type === 'retry') await inner.tasks?.update([operation.lease.taskId], { priority: 4 });
            return outcome;
          }),
      }),
    }),
  ),
  brokenBroker(
    'cancel-forgotten-on-error',
    'a cancelled task whose handler throws is run again',
    'CAN-03',
    (_scratch, inner) => ({
      session: (session) => ({
        settle: (operations) =>
          each(operations, async (operation) => {
            const outcome = await settleOne(session, operation);
            if (operation.type === 'retry') await inner.tasks?.rerun([operation.lease.taskId]);
            return outcome;
          }),
      }),
    }),
  ),
  brokenBroker('begun-ignored', 'a task claimed ahead counts as lost even if it never began', 'LSE-16', (_scratch) => ({
    session: (inner) => ({
      async claim(request) {
        const deliveries = await inner.claim(request);
        await inner.report(deliveries.map(({ lease }) => ({ lease, begun: true })));
        return deliveries;
      },
    }),
  })),
  brokenBroker('crash-is-free', 'a lost run never uses up the attempts', 'RTY-06', () => ({
    broker: (inner) => ({
      enqueue: (tasks, options) =>
        inner.enqueue(
          tasks.map((task) => ({ ...task, maxAttempts: Number.POSITIVE_INFINITY })),
          options,
        ),
    }),
  })),
  brokenBroker('flood-first', 'a claim gives nothing while many tasks of other names wait', 'CON-16', (scratch) => ({
    session: (inner) => {
      const begun = scratch.remember('begun', () => new Map<string, number>());
      const waiting = (name: string): number =>
        scratch.enqueued.filter((task) => task.name === name).length - (begun.get(name) ?? 0);
      return {
        async claim(request) {
          const others = new Set(
            scratch.enqueued.map(({ name }) => name).filter((name) => !request.names.includes(name)),
          );
          const flooded = [...others].some((name) => waiting(name) > 20);
          const deliveries = await inner.claim(flooded ? { ...request, queues: ['nothing is here'] } : request);
          for (const { name } of deliveries) begun.set(name, (begun.get(name) ?? 0) + 1);
          return deliveries;
        },
      };
    },
  })),
];
