import type { ControlOutcome, NewTask } from '@millrace/core';
import { allOf, cancelWaiting, capability, exactCounts, taskStore } from '../needs.ts';
import { untilAnswered } from './call-end.ts';
import { type SweepableCase, sweepable } from './reply-sweep.ts';

/** More than some adapters do in one request. */
const many = 300;

/** Cancelling tasks of several queues in one call. */
export const cutCancelOfMany: SweepableCase = sweepable<NewTask[]>({
  label: 'cancel of many tasks',
  needs: allOf(cancelWaiting, taskStore('get')),
  arrange: ({ t, queue }) => t.enqueueMany(20, (index) => ({ queue: `${queue} ${index % 4}` })),
  act: ({ client }, tasks) => client.broker.tasks?.cancel(tasks.map(({ id }) => id)) ?? Promise.resolve([]),
  async assess({ t, client }, tasks, ended) {
    const ids = tasks.map(({ id }) => id);
    const states = async (): Promise<unknown[]> => (await t.tasks.get(ids)).map((record) => record?.state);
    if (ended.how === 'not-applied') {
      t.equal(new Set(await states()), new Set(['pending']), 'states, although nothing was done');
    }
    if (ended.how !== 'answered') {
      const cancel = async (): Promise<ControlOutcome[]> => (await client.broker.tasks?.cancel(ids)) ?? [];
      const outcomes = await untilAnswered(t, cancel, 'a repeated cancel');
      t.ok(
        outcomes.every((outcome) => outcome === 'applied' || (outcome === 'refused' && ended.how === 'unknown')),
        `each is cancelled now, or was before; got ${[...new Set(outcomes)].join(', ')}`,
      );
    }
    t.equal(new Set(await states()), new Set(['cancelled']), 'the states in the end');
  },
});

/** Purging a queue of more tasks than one request removes. */
export const cutPurgeOfMany: SweepableCase = sweepable<void>({
  label: 'purge of many tasks',
  needs: allOf(
    capability('queues.purge', (c) => c.queues.purge),
    exactCounts,
  ),
  async arrange({ t, queue }) {
    await t.enqueueMany(many, () => ({ queue }));
  },
  act: ({ client, queue }) => client.broker.queues.purge(queue),
  async assess({ t, client, queue }, _state, ended) {
    if (ended.how === 'answered') t.equal(ended.value, many, 'tasks purged');
    if (ended.how === 'not-applied') {
      const [stats] = await t.broker.queues.stats([queue]);
      t.equal(stats?.pending, many, 'tasks that wait, although nothing was done');
    }
    if (ended.how !== 'answered') await untilAnswered(t, () => client.broker.queues.purge(queue), 'a repeated purge');
    await (await t.holder()).claimsNothing({ queues: [queue] });
  },
});
