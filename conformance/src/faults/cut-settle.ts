import type { Lease, NewTask, SettleOp, SettleOutcome } from '@millrace/core';
import { buildFailure } from '../context/builders.ts';
import type { Holder } from '../context/holder.ts';
import type { ScenarioContext } from '../context/scenario-context.ts';
import { cancelRunning, capability, pauseRunning } from '../needs.ts';
import type { Need } from '../scenario.ts';
import { recoveryMs } from './call-end.ts';
import { type Stage, type SweepableCase, sweepable } from './reply-sweep.ts';

interface Running {
  readonly holder: Holder;
  readonly task: NewTask;
  readonly lease: Lease;
}

/** What a settle leaves behind. `again`: delivered once more, on this attempt. */
type Effect = { readonly rests: 'succeeded' | 'failed' | 'cancelled' | 'paused' } | { readonly again: number };

export const cutComplete: SweepableCase = settling(
  'complete',
  (lease) => ({ type: 'complete', lease, output: '"done"' }),
  {
    rests: 'succeeded',
  },
);

/** Every other way to end a lease. */
export const cutSettles: readonly SweepableCase[] = [
  settling('retry', (lease) => ({ type: 'retry', lease, delayMs: 0, failure: buildFailure() }), { again: 2 }),
  settling('fail', (lease) => ({ type: 'fail', lease, failure: buildFailure() }), { rests: 'failed' }),
  settling('release', (lease) => ({ type: 'release', lease }), { again: 1 }),
  settling('snooze', (lease) => ({ type: 'snooze', lease, delayMs: 1 }), { again: 1 }),
  settling('pause of a run', (lease) => ({ type: 'pause', lease }), { rests: 'paused' }, pauseRunning),
  settling('cancel of a run', (lease) => ({ type: 'cancel', lease }), { rests: 'cancelled' }, cancelRunning),
];

async function run(stage: Stage): Promise<Running> {
  const task = await stage.t.enqueue({ queue: stage.queue });
  const holder = await stage.holder();
  const { lease } = await holder.claimOne({ queues: [stage.queue] });
  return { holder, task, lease };
}

function settling(label: string, operation: (lease: Lease) => SettleOp, effect: Effect, needs?: Need): SweepableCase {
  return sweepable<Running>({
    label,
    ...(needs !== undefined && { needs }),
    arrange: run,
    act: (_stage, { holder, lease }) => holder.session.settle([operation(lease)]),
    async assess(stage, state, ended) {
      const { t } = stage;
      t.equal(ended.how, 'answered', `how a settle ends: it never throws for a lost connection`);
      const [first] = (ended as { value: SettleOutcome[] }).value;
      const { lost } = state.holder.session;
      if (first !== 'applied' && lost.aborted) return recoverLost(stage, state, effect);
      // Nobody else can have had the task: "stale, refused without effect" would be wrong, whether applied or not.
      t.ok(first === 'applied' || first === 'unknown', `the answer is 'applied' or 'unknown'; got '${first}'`);
      if (first === 'unknown') {
        const second = await settledAfterAll(t, state.holder, operation(state.lease));
        if (second === undefined) return recoverLost(stage, state, effect);
        t.ok(
          second === 'applied' || second === 'stale',
          `asked again, the answer is 'applied' or 'stale'; got '${second}'`,
        );
      }
      await checkEffect(stage, state, effect);
      t.equal(await state.holder.settle(operation(state.lease)), 'stale', 'settling once more');
    },
  });
}

/** Settles again until it is answered, or `undefined` when the session is lost meanwhile. */
export async function settledAfterAll(
  t: ScenarioContext,
  holder: Holder,
  operation: SettleOp,
): Promise<SettleOutcome | undefined> {
  return t
    .eventually<SettleOutcome | 'session lost'>(
      async () => {
        if (holder.session.lost.aborted) return 'session lost';
        const outcome = await holder.settle(operation);
        return outcome === 'unknown' ? undefined : outcome;
      },
      'an answer to a settle',
      recoveryMs(t),
    )
    .then((outcome) => (outcome === 'session lost' ? undefined : outcome));
}

/** The session was lost with the answer: the task runs again, or its settle had arrived; it does not hang. */
async function recoverLost({ t, queue }: Stage, { task, holder }: Running, effect: Effect): Promise<void> {
  const other = await t.holder();
  // It was given up shortly before its ttl was over, or because its connection was.
  const end = t.now() + holder.ttlMs / 10 + t.capabilities.session.sweepMs + recoveryMs(t);
  let found: 'nothing' | 'delivered' | 'at rest' = 'nothing';
  while (found === 'nothing' && t.now() < end) {
    await t.maintain();
    const [delivery] = await other.claim({ queues: [queue], waitMs: Math.round(t.unitMs) });
    const record = t.capabilities.tasks.get ? await t.record(task.id) : undefined;
    if (delivery !== undefined) {
      t.equal(
        [delivery.lease.taskId, await other.complete(delivery)],
        [task.id, 'applied'],
        'the task that comes again',
      );
      found = 'delivered';
    } else if (record !== undefined && 'rests' in effect && record.state === effect.rests) {
      found = 'at rest';
    }
  }
  // Where tasks cannot be looked up, one that does not come again may have been settled; one that should, was lost.
  const settled = 'rests' in effect && !t.capabilities.tasks.get;
  t.ok(
    found !== 'nothing' || settled,
    'a task whose session was lost with the answer to its settle is delivered or settled',
  );
  await withoutFork(t, other, queue, task.id);
  await other.claimsNothing({ queues: [queue] });
}

async function checkEffect({ t, queue }: Stage, { task }: Running, effect: Effect): Promise<void> {
  const other = await t.holder();
  if ('rests' in effect) {
    await t.inState(task.id, effect.rests, 'the state');
    await other.claimsNothing({ queues: [queue] });
    return;
  }
  const delivery = await other.claimOne({ queues: [queue] });
  t.equal(
    [delivery.lease.taskId, delivery.lease.attempt],
    [task.id, effect.again],
    'the task that comes again, and its attempt',
  );
  t.equal(await other.complete(delivery), 'applied', 'its completion');
  await withoutFork(t, other, queue, task.id);
  await other.claimsNothing({ queues: [queue] });
}

/** A broker that moves a task by sending a copy may leave both when it is cut in between, and says so. */
export async function withoutFork(t: ScenarioContext, holder: Holder, queue: string, id: string): Promise<void> {
  if (t.capabilities.settle.retryAtomic) return;
  const [copy] = await holder.claim({ queues: [queue], waitMs: Math.round(t.unitMs) });
  if (copy === undefined) return;
  t.equal(
    [copy.lease.taskId, await holder.complete(copy)],
    [id, 'applied'],
    'the copy left by a cut, and its completion',
  );
}

/** A report: repeating it is harmless, and it must not be applied to somebody else's run. */
export const cutReport: SweepableCase = sweepable<Running>({
  label: 'report',
  needs: capability('reports.progress', (c) => c.reports.progress),
  arrange: run,
  act: (_stage, { holder, lease }) => holder.session.report([{ lease, progress: '7' }]),
  async assess({ t, queue }, { holder, task, lease }, ended) {
    const [first] = ended.how === 'answered' ? (ended.value as SettleOutcome[]) : (['unknown'] as const);
    if (holder.session.lost.aborted) return;
    t.ok(first === 'applied' || first === 'unknown', `the answer is 'applied' or 'unknown'; got '${first}'`);
    if (first === 'unknown') {
      const repeat = async (): Promise<boolean> => {
        const [outcome] = await holder.session.report([{ lease, progress: '7' }]).catch((): SettleOutcome[] => []);
        return outcome === 'applied';
      };
      await t.eventually(repeat, 'the answer to a repeated report', recoveryMs(t));
    }
    if (t.capabilities.tasks.get) t.equal((await t.record(task.id)).progress, '7', 'the progress');
    t.equal(await holder.complete(lease), 'applied', 'the completion');
    await (await t.holder()).claimsNothing({ queues: [queue] });
  },
});
