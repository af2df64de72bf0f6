import type { Lease, Session, SettleOp, SettleOutcome } from '@millrace/core';
import { brokenBroker, type Mutant, type Scratch } from './mutant.ts';

/** Defects of the guard on settles and reports. */
export const fenceMutants: readonly Mutant[] = [
  ...(['complete', 'retry', 'fail', 'release', 'snooze', 'pause', 'cancel'] as const).map((type) =>
    brokenBroker(
      `no-fence-on-${type}`,
      `a stale ${type} is applied to whatever run the task is in`,
      type === 'complete' ? 'LSE-04' : 'LSE-05',
      (scratch) => ({
        session: (inner) => ({
          settle: (operations) =>
            each(operations, (operation) =>
              operation.type === type ? settleNewest(scratch, inner, operation) : settleOne(inner, operation),
            ),
        }),
      }),
    ),
  ),
  brokenBroker('no-fence-on-report', 'a stale holder goes on reporting progress', 'LSE-05', (scratch) => ({
    session: (inner) => ({
      report: (reports) =>
        each(reports, async (report) => {
          const newest = scratch.held.get(report.lease.taskId);
          const [outcome] = await (newest?.session ?? inner).report([
            { ...report, lease: newest?.lease ?? report.lease },
          ]);
          return outcome ?? 'unknown';
        }),
    }),
  })),
  brokenBroker(
    'fence-is-session-and-attempt',
    'the guard compares session and attempt: the same session that holds the task again is taken for the old one',
    'LSE-22',
    (scratch) => ({
      session: (inner) => ({
        settle: (operations) =>
          each(operations, (operation) => {
            const newest = scratch.held.get(operation.lease.taskId)?.lease;
            const same = newest?.sessionId === operation.lease.sessionId && newest.attempt === operation.lease.attempt;
            return same ? settleNewest(scratch, inner, operation) : settleOne(inner, operation);
          }),
      }),
    }),
  ),
  brokenBroker('fence-restarts', 'every claim has fence 1', 'LSE-06', (scratch) => ({
    session: (inner) => ({
      async claim(request) {
        const deliveries = await inner.claim(request);
        return deliveries.map((delivery) => ({ ...delivery, lease: { ...delivery.lease, fence: 1 } }));
      },
      settle: (operations) => each(operations, (operation) => settleNewest(scratch, inner, operation)),
    }),
  })),
  brokenBroker(
    'completes-where-it-was-claimed',
    'a completion looks for its task where the first claim found it, and not elsewhere',
    'STM-17',
    (scratch) => ({
      session: (inner) => ({
        async claim(request) {
          const places = scratch.remember('places', () => new Map<string, Lease>());
          const deliveries = await inner.claim(request);
          for (const { lease } of deliveries) if (!places.has(lease.taskId)) places.set(lease.taskId, lease);
          return deliveries;
        },
        settle(operations) {
          const places = scratch.remember('places', () => new Map<string, Lease>());
          const where = (lease: Lease): Lease => ({ ...lease, fence: places.get(lease.taskId)?.fence ?? lease.fence });
          return inner.settle(
            operations.map((each) => (each.type === 'complete' ? { ...each, lease: where(each.lease) } : each)),
          );
        },
      }),
    }),
  ),
  brokenBroker(
    'reported-on-is-elsewhere',
    'a report moves its task, and a completion does not find it any more',
    'STM-17',
    (scratch) => ({
      session: (inner) => ({
        report(reports) {
          const moved = scratch.remember('moved', () => new Set<string>());
          for (const { lease } of reports) moved.add(`${lease.fence}:${lease.taskId}`);
          return inner.report(reports);
        },
        settle(operations) {
          const moved = scratch.remember('moved', () => new Set<string>());
          return each(operations, async (operation) =>
            operation.type === 'complete' && moved.has(`${operation.lease.fence}:${operation.lease.taskId}`)
              ? 'stale'
              : settleOne(inner, operation),
          );
        },
      }),
    }),
  ),
  brokenBroker('outcomes-in-reverse', 'the outcomes of a batch of settles come in reverse order', 'STM-04', () => ({
    session: (inner) => ({ settle: async (operations) => (await inner.settle(operations)).reverse() }),
  })),
  brokenBroker('double-settle-accepted', 'a lease that was used up is answered applied', 'STM-04', () => ({
    session: (inner) => ({
      settle: async (operations) => (await inner.settle(operations)).map(() => 'applied' as const),
    }),
  })),
  brokenBroker('complete-not-stored', 'a completion is answered applied and forgotten', 'MOD-10', () => ({
    session: (inner) => ({
      settle: (operations) =>
        each(operations, async (operation) =>
          operation.type === 'complete' ? 'applied' : settleOne(inner, operation),
        ),
    }),
  })),
  brokenBroker('settle-throws-stale', 'a stale settle throws instead of answering', 'LSE-04', () => ({
    session: (inner) => ({
      async settle(operations) {
        const outcomes = await inner.settle(operations);
        if (outcomes.includes('stale')) throw new Error('stale lease');
        return outcomes;
      },
    }),
  })),
];

/** Applies a change to each item, one after the other. */
export async function each<T>(
  items: readonly T[],
  change: (item: T) => Promise<SettleOutcome>,
): Promise<SettleOutcome[]> {
  const outcomes: SettleOutcome[] = [];
  for (const item of items) outcomes.push(await change(item));
  return outcomes;
}

export async function settleOne(session: Session, operation: SettleOp): Promise<SettleOutcome> {
  const [outcome] = await session.settle([operation]);
  return outcome ?? 'unknown';
}

/** Settles with the newest lease there is, whoever holds it: what an unguarded update does. */
function settleNewest(scratch: Scratch, session: Session, operation: SettleOp): Promise<SettleOutcome> {
  const newest = scratch.held.get(operation.lease.taskId);
  if (newest === undefined) return settleOne(session, operation);
  return settleOne(newest.session, { ...operation, lease: newest.lease });
}
