import type { NewTask } from '@millrace/core';
import type { ScenarioContext } from '../context/scenario-context.ts';
import { cancelWaiting, claimById, pauseWaiting, queuePause, taskStore } from '../needs.ts';
import type { Scenario } from '../scenario.ts';

const anHourMs = 3_600_000;

/** CBI: claims by id, and what they say of tasks they cannot give. What comes of them is in claim-by-id-course.ts. */
export const claimByIdScenarios: readonly Scenario[] = [
  {
    id: 'CBI-01',
    rule: 'R-CBI-1',
    title: 'sessions have claimTasks where claimById is claimed, and only there',
    tier: 'core',
    async run(t) {
      const { session } = await t.holder();
      t.equal(typeof session.claimTasks, t.capabilities.claimById ? 'function' : 'undefined', 'the type of claimTasks');
    },
  },
  {
    id: 'CBI-02',
    rule: 'R-CBI-2',
    title: 'the tasks named are claimed, whole, whatever their queues and names, and no others',
    tier: 'extended',
    needs: [claimById],
    async run(t) {
      const holder = await t.holder({ instance: 'runner' });
      const plain = await t.enqueue();
      const special = t.task({
        queue: 'another',
        name: 'unheard-of',
        input: '{"to":"a@b.c","n":[1,2.5,null],"s":"\\u0000🚀"}',
        headers: { traceparent: '00-4bf92f3577b34da6', tenant: 'Ünïcode 🚀' },
        priority: 0,
        expiresInMs: 86_400_000,
        maxAttempts: 7,
        timeoutMs: 12_345,
        group: 'a group',
        owner: 'an owner',
        version: 42,
      });
      await t.enqueueAll([special]);
      const [left] = await t.enqueueMany(5, () => ({ priority: 9 }));
      const [first, second] = await holder.claimTasks([special.id, plain.id]);
      if (first?.status !== 'claimed' || second?.status !== 'claimed') return t.ok(false, 'both are claimed');
      const { id, delayMs: _delay, expiresInMs: _expires, ...kept } = special;
      const { lease, createdAt, runAt, ...delivered } = first.delivery;
      t.equal(delivered, kept, 'the delivery of the task with everything');
      t.equal([lease.taskId, lease.attempt, lease.sessionId], [id, 1, holder.session.id], 'its lease');
      t.ok(Number.isInteger(createdAt) && createdAt === runAt, 'its times are whole and the same');
      t.equal([second.delivery.lease.taskId, 'input' in second.delivery], [plain.id, false], 'the one with nothing');
      if (t.capabilities.tasks.get) {
        const record = await t.record(id);
        t.equal(
          [record.state, record.attempt, record.fence, record.worker, record.startedAt !== undefined],
          ['running', 1, lease.fence, 'runner@localhost', true],
          'the record while it runs',
        );
        t.equal((await t.record(t.defined(left, 'another task').id)).state, 'pending', 'the state of one not named');
      }
      t.equal(await holder.complete(first.delivery, '"out"'), 'applied', 'the completion');
      t.equal((await holder.claimMany(5)).length, 5, 'the tasks left alone');
      await holder.claimsNothing({ queues: ['another'] });
    },
  },
  {
    id: 'CBI-03',
    rule: 'R-CBI-3',
    title: 'a task that is not due is early, with the time until it is; then it is claimed, and not before',
    tier: 'extended',
    needs: [claimById],
    async run(t) {
      const { timePrecisionMs, delay } = t.capabilities;
      const holder = await t.holder();
      const before = t.now();
      const late = await t.enqueue({ delayMs: anHourMs });
      const verdict = await holder.claimTask(late.id);
      const passed = t.now() - before;
      const slack = timePrecisionMs + delay.granularityMs;
      if (verdict.status !== 'early') return t.equal(verdict.status, 'early', 'the verdict');
      t.between(verdict.dueInMs, anHourMs - passed - slack, anHourMs + slack, 'the milliseconds until it is due');
      await t.inState(late.id, 'scheduled', 'the state of a task that was asked for too early');
      const delayMs = Math.round(4 * t.unitMs);
      const enqueuedAt = t.now();
      const soon = await t.enqueue({ delayMs });
      const claimedAt = await t.eventually(async () => {
        const next = await holder.claimTask(soon.id);
        if (next.status === 'claimed') return t.now();
        t.ok(next.status === 'early' && next.dueInMs >= 1, `a verdict on the way is ${JSON.stringify(next)}`);
        await t.pause(Math.min(next.status === 'early' ? next.dueInMs : 1, delayMs));
        return undefined;
      }, 'the claim of a task that falls due');
      t.ok(claimedAt - enqueuedAt >= delayMs - slack, `it is claimed ${claimedAt - enqueuedAt} ms after its enqueue`);
    },
  },
  {
    id: 'CBI-04',
    rule: 'R-CBI-3',
    title: 'a task that runs is held, here and elsewhere; its lease stays the newest',
    tier: 'extended',
    needs: [claimById],
    async run(t) {
      const [byId, byQueue] = await t.enqueueMany(2, (index) => ({ queue: `queue ${index}` }));
      const ids = [t.defined(byId, 'a task').id, t.defined(byQueue, 'a task').id];
      const [owner, stranger] = [await t.holder(), await t.holder({ own: true })];
      const deliveries = [await owner.claimById(ids[0] as string), await owner.claimOne({ queues: ['queue 1'] })];
      for (const holder of [owner, stranger]) {
        const held = [{ status: 'held' }, { status: 'held' }];
        t.equal(await holder.claimTasks(ids), held, 'what is said of tasks that run');
      }
      for (const delivery of deliveries) t.equal(await owner.complete(delivery), 'applied', 'the completion');
    },
  },
  {
    id: 'CBI-05',
    rule: 'R-CBI-3',
    title: 'a paused task, and one of a paused queue, stay where they are until they are resumed',
    tier: 'extended',
    needs: [claimById, pauseWaiting, queuePause],
    async run(t) {
      const holder = await t.holder();
      const resting = await t.enqueue();
      const closed = await t.enqueue({ queue: 'closed' });
      const both = await t.enqueue({ queue: 'closed' });
      const early = await t.enqueue({ queue: 'closed', delayMs: anHourMs });
      t.equal(await t.tasks.pause([resting.id, both.id]), ['applied', 'applied'], 'the pauses');
      await t.soon(t.broker.queues.pause('closed'), 'the pause of a queue');
      const statuses = async (...tasks: readonly NewTask[]): Promise<string[]> =>
        (await holder.claimTasks(tasks.map(({ id }) => id))).map(({ status }) => status);
      t.equal(
        await statuses(closed, resting, both, early),
        ['queue-paused', 'paused', 'paused', 'early'],
        'what is said while they are paused',
      );
      for (const task of [resting, both]) await t.inState(task.id, 'paused', 'the state of a paused task');
      await t.inState(closed.id, 'pending', 'the state of a task of a paused queue');
      await t.soon(t.broker.queues.resume('closed'), 'the resume of a queue');
      t.equal(await t.tasks.resume([resting.id]), ['applied'], 'the resume of a task');
      t.equal(await statuses(both, resting, closed), ['paused', 'claimed', 'claimed'], 'what is said afterwards');
    },
  },
  {
    id: 'CBI-06',
    rule: 'R-CBI-3',
    title: 'what has ended, or is over its time, is ended; what is not there is gone',
    tier: 'extended',
    needs: [claimById, taskStore('remove')],
    async run(t) {
      const holder = await t.holder();
      const statusOf = async (id: string): Promise<string> => (await holder.claimTask(id)).status;
      const ends = {
        succeeded: async (id: string) => holder.complete(await holder.claimById(id)),
        failed: async (id: string) => holder.fail(await holder.claimById(id)),
        ...(cancelWaiting(t.capabilities, t.harness) === true && {
          cancelled: async (id: string) => (await t.tasks.cancel([id]))[0],
        }),
      };
      for (const [state, end] of Object.entries(ends)) {
        await t.cell(state, async () => {
          const task = await t.enqueue();
          t.equal(await end(task.id), 'applied', 'the end of the task');
          t.equal(await statusOf(task.id), 'ended', `what is said of a ${state} task`);
          await t.inState(task.id, state as 'succeeded', 'its state afterwards');
          t.equal(await t.tasks.remove([task.id]), ['applied'], 'its removal');
          t.equal(await statusOf(task.id), 'gone', 'what is said of a removed one');
        });
      }
      await t.cell('over its time, unswept and swept', async () => {
        const expiring = await t.enqueue({ expiresInMs: Math.round(2 * t.unitMs) });
        await t.advance(2 * t.unitMs + t.capabilities.timePrecisionMs);
        t.equal(await statusOf(expiring.id), 'ended', 'what is said of an expired task nobody has swept');
        await t.maintain();
        t.equal(await statusOf(expiring.id), 'ended', 'what is said of it afterwards');
      });
      const strange = ['nobody', '', 'zero\0byte', '\ud800', 'x'.repeat(1_000), "'; drop table task; --"];
      t.equal(
        await holder.claimTasks(strange),
        strange.map(() => ({ status: 'gone' })),
        'what is said of ids that no task has',
      );
    },
  },
  {
    id: 'CBI-07',
    rule: 'R-CBI-2',
    title: 'verdicts come in the order asked for, up to batch.maxClaim in one call',
    tier: 'extended',
    needs: [claimById],
    async run(t) {
      const holder = await t.holder();
      const tasks = await t.enqueueMany(30, (index) => ({
        queue: `queue ${index % 4}`,
        priority: index % 10,
        delayMs: index % 3 === 1 ? anHourMs : 0,
      }));
      const expected = shuffle(t, tasks).flatMap((task, index) => {
        const status = task.delayMs > 0 ? 'early' : 'claimed';
        return [{ id: task.id, status }, ...(index % 3 === 0 ? [{ id: `nobody ${index}`, status: 'gone' }] : [])];
      });
      const verdicts = await holder.claimTasks(expected.map(({ id }) => id));
      t.equal(
        verdicts.map((verdict) => (verdict.status === 'claimed' ? verdict.delivery.lease.taskId : verdict.status)),
        expected.map(({ id, status }) => (status === 'claimed' ? id : status)),
        'the verdicts',
      );
      const { maxClaim } = t.capabilities.batch;
      const full = Array.from({ length: maxClaim }, (_unused, index) => `nobody ${index}`);
      full[maxClaim - 1] = tasks.find((task) => task.delayMs > 0)?.id ?? '';
      const said = (await holder.claimTasks(full)).map(({ status }) => status);
      t.equal([said.length, said[0], said.at(-1)], [maxClaim, maxClaim > 1 ? 'gone' : 'early', 'early'], 'a full call');
    },
  },
];

/** The same order for the same seed. */
function shuffle<T>(t: ScenarioContext, items: readonly T[]): T[] {
  const keys = items.map((_item, index) => Math.imul(index + 1, (t.seed | 1) ^ 0x9e3779b1) >>> 0);
  return items
    .map((item, index) => ({ item, key: keys[index] as number }))
    .sort((a, b) => a.key - b.key)
    .map(({ item }) => item);
}
