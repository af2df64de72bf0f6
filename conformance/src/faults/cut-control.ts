import type { ControlOutcome, NewTask, TaskState } from '@millrace/core';
import { allOf, cancelWaiting, capability, pauseWaiting, queuePause, taskStore } from '../needs.ts';
import type { Need } from '../scenario.ts';
import { untilAnswered } from './call-end.ts';
import { type Stage, type SweepableCase, sweepable } from './reply-sweep.ts';

interface ControlCase {
  readonly label: string;
  readonly needs: Need;
  /** Brings the task, which waits, to where the operation finds it. Through the observer's client. */
  readonly prepare?: (stage: Stage, task: NewTask) => Promise<unknown>;
  readonly act: (stage: Stage, id: string) => Promise<ControlOutcome[]>;
  readonly state: TaskState | 'gone';
  /** Whether repeating it when it was applied is refused or finds nothing, instead of being applied again. */
  readonly once?: true;
}

const hourMs = 3_600_000;

const controls: readonly ControlCase[] = [
  {
    label: 'cancel',
    needs: cancelWaiting,
    act: ({ client }, id) => tasksOf(client).cancel([id]),
    state: 'cancelled',
    once: true,
  },
  { label: 'pause', needs: pauseWaiting, act: ({ client }, id) => tasksOf(client).pause([id]), state: 'paused' },
  {
    label: 'resume',
    needs: pauseWaiting,
    prepare: ({ t }, { id }) => t.tasks.pause([id]),
    act: ({ client }, id) => tasksOf(client).resume([id]),
    state: 'pending',
    once: true,
  },
  {
    label: 'rerun',
    needs: taskStore('rerun'),
    async prepare({ t, queue }) {
      const holder = await t.holder();
      await holder.fail(await holder.claimOne({ queues: [queue] }));
    },
    act: ({ client }, id) => tasksOf(client).rerun([id]),
    state: 'pending',
    once: true,
  },
  {
    label: 'reschedule',
    needs: taskStore('reschedule'),
    act: ({ client }, id) => tasksOf(client).reschedule([id], { delayMs: hourMs }),
    state: 'scheduled',
  },
  {
    label: 'update',
    needs: taskStore('update'),
    act: ({ client }, id) => tasksOf(client).update([id], { priority: 9 }),
    state: 'pending',
  },
  {
    label: 'remove',
    needs: taskStore('remove'),
    act: ({ client }, id) => tasksOf(client).remove([id]),
    state: 'gone',
    once: true,
  },
];

function tasksOf(client: Stage['client']): NonNullable<Stage['client']['broker']['tasks']> {
  const { tasks } = client.broker;
  if (tasks === undefined) throw new Error('the broker has no task store');
  return tasks;
}

/** Every control operation on one task. */
export const cutControls: readonly SweepableCase[] = controls.map((control) =>
  sweepable<NewTask>({
    label: control.label,
    needs: allOf(taskStore('get'), control.needs),
    async arrange(stage) {
      const task = await stage.t.enqueue({ queue: stage.queue });
      await control.prepare?.(stage, task);
      return task;
    },
    act: (stage, task) => control.act(stage, task.id),
    async assess(stage, task, ended) {
      const { t } = stage;
      const allowed: ControlOutcome[] = control.once === true ? ['applied', 'refused', 'not-found'] : ['applied'];
      if (ended.how === 'answered') {
        // The client may have sent it twice by itself; the second one then finds it done.
        const [outcome] = ended.value as ControlOutcome[];
        t.ok(
          outcome !== undefined && allowed.includes(outcome),
          `the outcome is one of ${allowed.join(', ')}; got '${outcome}'`,
        );
      } else {
        if (ended.how === 'not-applied')
          t.ok((await stateOf(stage, task)) !== control.state || control.label === 'update', 'not applied');
        const [outcome] = await untilAnswered(t, () => control.act(stage, task.id), `a repeated ${control.label}`);
        t.ok(
          outcome !== undefined && allowed.includes(outcome),
          `the outcome is one of ${allowed.join(', ')}; got '${outcome}'`,
        );
      }
      t.equal(await stateOf(stage, task), control.state, 'the state');
      await finish(stage, task, control.state);
    },
  }),
);

async function stateOf({ t }: Stage, task: NewTask): Promise<TaskState | 'gone'> {
  return (await t.find(task.id))?.state ?? 'gone';
}

/** What waits is there once, and what rests is not delivered. */
async function finish({ t, queue }: Stage, task: NewTask, state: TaskState | 'gone'): Promise<void> {
  const holder = await t.holder();
  if (state === 'pending') {
    const delivery = await holder.claimOne({ queues: [queue] });
    t.equal([delivery.lease.taskId, delivery.lease.attempt], [task.id, 1], 'the task and its attempt');
    t.equal(await holder.complete(delivery), 'applied', 'its completion');
  }
  await holder.claimsNothing({ queues: [queue] });
}

/** Pausing, resuming and purging a queue. */
export const cutQueues: readonly SweepableCase[] = [
  sweepable<NewTask>({
    label: 'pause of a queue',
    needs: queuePause,
    arrange: ({ t, queue }) => t.enqueue({ queue }),
    act: ({ client, queue }) => client.broker.queues.pause(queue),
    async assess({ t, client, queue }, task, ended) {
      if (ended.how !== 'answered') await untilAnswered(t, () => client.broker.queues.pause(queue), 'a repeated pause');
      const holder = await t.holder();
      t.equal(await holder.claim({ queues: [queue] }), [], 'what a paused queue delivers');
      await t.soon(t.broker.queues.resume(queue), 'resuming');
      t.equal((await holder.claimOne({ queues: [queue] })).lease.taskId, task.id, 'what comes after the resume');
    },
  }),
  sweepable<NewTask>({
    label: 'resume of a queue',
    needs: queuePause,
    async arrange({ t, queue }) {
      await t.soon(t.broker.queues.pause(queue), 'pausing');
      return t.enqueue({ queue });
    },
    act: ({ client, queue }) => client.broker.queues.resume(queue),
    async assess({ t, client, queue }, task, ended) {
      if (ended.how !== 'answered')
        await untilAnswered(t, () => client.broker.queues.resume(queue), 'a repeated resume');
      const holder = await t.holder();
      t.equal((await holder.claimOne({ queues: [queue] })).lease.taskId, task.id, 'what comes after the resume');
      await holder.claimsNothing({ queues: [queue] });
    },
  }),
  sweepable<void>({
    label: 'purge of a queue',
    needs: capability('queues.purge', (c) => c.queues.purge),
    async arrange({ t, queue }) {
      await t.enqueueMany(3, () => ({ queue }));
    },
    act: ({ client, queue }) => client.broker.queues.purge(queue),
    async assess({ t, client, queue }, _state, ended) {
      if (ended.how !== 'answered') await untilAnswered(t, () => client.broker.queues.purge(queue), 'a repeated purge');
      await (await t.holder()).claimsNothing({ queues: [queue] });
    },
  }),
  sweepable<NewTask>({
    label: 'maintain',
    arrange: ({ t, queue }) => t.enqueue({ queue }),
    act: ({ client }) => client.broker.maintain({ maxTasks: 100 }),
    async assess({ t, client, queue }, task, ended) {
      if (ended.how !== 'answered')
        await untilAnswered(t, () => client.broker.maintain({ maxTasks: 100 }), 'repeated maintenance');
      const holder = await t.holder();
      const delivery = await holder.claimOne({ queues: [queue] });
      t.equal([delivery.lease.taskId, delivery.lease.attempt], [task.id, 1], 'the task and its attempt');
      t.equal(await holder.complete(delivery), 'applied', 'its completion');
      await holder.claimsNothing({ queues: [queue] });
    },
  }),
];
