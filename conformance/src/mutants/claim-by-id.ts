import type { Broker, ClaimVerdict, Delivery, Session } from '@millrace/core';
import { each, settleOne } from './fence.ts';
import { brokenBroker, type Mutant, type Scratch } from './mutant.ts';

type ClaimTasks = NonNullable<Session['claimTasks']>;

/** A mutant of claims by id. What the broker cannot do stays absent. */
function brokenById(
  name: string,
  defect: string,
  caughtBy: string,
  change: (claimTasks: ClaimTasks, inner: Broker<unknown>, scratch: Scratch) => ClaimTasks,
): Mutant {
  return brokenBroker(name, defect, caughtBy, (scratch, inner) => ({
    session: ({ claimTasks }) => (claimTasks === undefined ? {} : { claimTasks: change(claimTasks, inner, scratch) }),
  }));
}

/** Asks again for what was refused for one reason, once that has been got out of the way. */
function overriding(
  status: ClaimVerdict['status'],
  override: (id: string, claim: () => Promise<ClaimVerdict>) => Promise<ClaimVerdict>,
) {
  return (claimTasks: ClaimTasks): ClaimTasks =>
    async (ids) => {
      const verdicts: ClaimVerdict[] = [];
      for (const [index, verdict] of (await claimTasks(ids)).entries()) {
        const id = ids[index] as string;
        const claim = async (): Promise<ClaimVerdict> => (await claimTasks([id]))[0] as ClaimVerdict;
        verdicts.push(verdict.status === status ? await override(id, claim) : verdict);
      }
      return verdicts;
    };
}

/** Defects of claims by id. */
export const claimByIdMutants: readonly Mutant[] = [
  brokenById('by-id-before-it-is-due', 'a claim by id gives a task that is not due', 'CBI-03', (claimTasks, inner) =>
    overriding('early', async (id, claim) => {
      await inner.tasks?.reschedule([id], { delayMs: 0 });
      return claim();
    })(claimTasks),
  ),
  brokenById(
    'by-id-although-held',
    'a claim by id gives a task that runs, with the lease its holder has',
    'CBI-04',
    (claimTasks, _inner, scratch) => {
      const given = scratch.remember('given', () => new Map<string, Delivery>());
      return async (ids) => {
        const verdicts = await claimTasks(ids);
        return verdicts.map((verdict, index): ClaimVerdict => {
          const delivery = given.get(ids[index] as string);
          if (verdict.status === 'claimed') given.set(verdict.delivery.lease.taskId, verdict.delivery);
          return verdict.status === 'held' && delivery !== undefined ? { status: 'claimed', delivery } : verdict;
        });
      };
    },
  ),
  brokenById('by-id-although-paused', 'a claim by id gives a paused task', 'CBI-05', (claimTasks, inner) =>
    overriding('paused', async (id, claim) => {
      await inner.tasks?.resume([id]);
      return claim();
    })(claimTasks),
  ),
  brokenById(
    'by-id-although-its-queue-is-paused',
    'a claim by id gives a task of a paused queue',
    'CBI-05',
    (claimTasks, inner, scratch) =>
      overriding('queue-paused', async (id, claim) => {
        const queue = scratch.enqueued.find((task) => task.id === id)?.queue ?? '';
        await inner.queues.resume(queue);
        const verdict = await claim();
        await inner.queues.pause(queue);
        return verdict;
      })(claimTasks),
  ),
  brokenById('by-id-although-over', 'a claim by id says of an expired task that it is gone', 'CBI-06', (claimTasks) =>
    overriding('ended', async () => ({ status: 'gone' }))(claimTasks),
  ),
  brokenById(
    'by-id-in-any-order',
    'the verdicts of a claim by id come in the order of the ids, not in the one asked for',
    'CBI-07',
    (claimTasks) => async (ids) => {
      const verdicts = await claimTasks(ids);
      const order = [...ids.keys()].sort((a, b) => ((ids[a] as string) < (ids[b] as string) ? -1 : 1));
      return order.map((index) => verdicts[index] as ClaimVerdict);
    },
  ),
  brokenById(
    'by-id-found-out-later',
    'of ids that are not there, a claim by id says nothing',
    'CBI-07',
    (claimTasks) => async (ids) => (await claimTasks(ids)).filter(({ status }) => status !== 'gone'),
  ),
  brokenBroker(
    'by-id-keeps-the-fence',
    'a claim by id does not raise the fence, which a settle does not look at either',
    'CBI-08',
    (scratch) => ({
      session: ({ claimTasks, ...inner }) => ({
        ...(claimTasks !== undefined && {
          claimTasks: async (ids) => (await claimTasks(ids)).map(withFirstFence),
        }),
        settle: (operations) =>
          each(operations, async (operation) => {
            const newest = scratch.held.get(operation.lease.taskId);
            if (newest === undefined || operation.lease.fence !== 1) return settleOne(inner as Session, operation);
            return settleOne(newest.session, { ...operation, lease: newest.lease });
          }),
      }),
    }),
  ),
  brokenById(
    'by-id-doubles-rarely',
    'one task in ten that somebody else was given by id is given once more',
    'CBI-09',
    (claimTasks, _inner, scratch) => {
      const given = scratch.remember('given', () => new Map<string, Delivery>());
      const state = scratch.remember('state', () => ({ count: 0 }));
      return async (ids) => {
        const verdicts = await claimTasks(ids);
        return verdicts.map((verdict, index): ClaimVerdict => {
          const delivery = given.get(ids[index] as string);
          if (verdict.status === 'claimed') given.set(verdict.delivery.lease.taskId, verdict.delivery);
          if (verdict.status !== 'held' || delivery === undefined) return verdict;
          state.count += 1;
          return state.count % 10 === 0 ? { status: 'claimed', delivery } : verdict;
        });
      };
    },
  ),
  brokenById(
    'by-id-not-checked',
    'a claim by id takes whatever it is given for ids',
    'CBI-13',
    (claimTasks) => async (ids) => {
      const known = [...new Set(ids)].filter((id) => typeof id === 'string').slice(0, 100);
      return known.length === 0 ? [] : claimTasks(known);
    },
  ),
  brokenBroker('by-id-unclaimed', 'sessions can claim by id, and the capabilities say they cannot', 'CBI-01', () => ({
    broker: (inner) => ({
      open: async () => {
        const capabilities = await inner.open();
        return { ...capabilities, claimById: !capabilities.claimById };
      },
    }),
  })),
];

function withFirstFence(verdict: ClaimVerdict): ClaimVerdict {
  if (verdict.status !== 'claimed') return verdict;
  const { delivery } = verdict;
  return { status: 'claimed', delivery: { ...delivery, lease: { ...delivery.lease, fence: 1 } } };
}
