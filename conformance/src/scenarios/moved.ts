import type { Delivery, Lease, SettleOp } from '@millrace/core';
import { buildFailure } from '../context/builders.ts';
import type { Holder } from '../context/holder.ts';
import type { ScenarioContext } from '../context/scenario-context.ts';
import { cancelRunning, pauseWaiting, uniqueReplace } from '../needs.ts';
import type { Need, Scenario } from '../scenario.ts';

/** A task that is being moved: who holds it, and who claims it again if it is handed back. */
interface Stage {
  readonly t: ScenarioContext;
  readonly queue: string;
  readonly holder: Holder;
  readonly next: Holder;
  readonly delivery: Delivery;
}

/** Resolves to who holds it then. */
type Move = (stage: Stage) => Promise<{ readonly holder: Holder; readonly delivery: Delivery }>;

/** How a moved task ends, and who claims it in between. */
interface Ending {
  readonly type: 'complete' | 'fail';
  readonly by: 'the same session' | 'another session';
}

const endings: readonly Ending[] = [
  { type: 'complete', by: 'the same session' },
  { type: 'complete', by: 'another session' },
  { type: 'fail', by: 'another session' },
];

/** Long enough not to stay where a short one was. */
const long = JSON.stringify('x'.repeat(5_000));
const release = (lease: Lease): SettleOp => ({ type: 'release', lease });
const key = { key: 'moved', keyUntil: 'settled', onConflict: 'replace' } as const;

/** Everything that may put a task somewhere else between the claim and the settle of a run. */
const moves: readonly {
  readonly label: string;
  readonly needs?: Need;
  readonly only?: Ending['type'];
  readonly move: Move;
}[] = [
  {
    label: 'reported on',
    needs: ({ reports }) => reports.progress || reports.checkpoint || reports.log || absent('reports'),
    async move({ t, holder, delivery }) {
      for (const value of ['1', long, '2']) {
        t.equal(await holder.report(delivery, t.reportable(value)), 'applied', 'a report');
      }
      return { holder, delivery };
    },
  },
  {
    label: 'asked to stop',
    needs: cancelRunning,
    // Any other end yields to the cancel.
    only: 'complete',
    async move({ t, holder, delivery }) {
      t.equal(await t.tasks.cancel([delivery.lease.taskId]), ['requested'], 'the cancel');
      return { holder, delivery };
    },
  },
  { label: 'released', move: (stage) => again(stage, release) },
  {
    label: 'retried',
    move: (stage) => again(stage, (lease) => ({ type: 'retry', lease, delayMs: 0, failure: buildFailure() })),
  },
  { label: 'snoozed', move: (stage) => again(stage, (lease) => ({ type: 'snooze', lease, delayMs: 0 })) },
  {
    label: 'rescheduled while it waited',
    needs: ({ tasks }) => tasks.reschedule || absent('tasks.reschedule'),
    move: (stage) =>
      again(
        stage,
        (lease) => ({ type: 'snooze', lease, delayMs: 3_600_000 }),
        async (id) => {
          stage.t.equal(await stage.t.tasks.reschedule([id], { delayMs: 0 }), ['applied'], 'the reschedule');
        },
      ),
  },
  {
    label: 'updated while it waited',
    needs: ({ tasks }) => tasks.update || absent('tasks.update'),
    move: (stage) =>
      again(stage, release, async (id) => {
        const outcomes = await stage.t.tasks.update([id], { input: long, priority: 8 });
        stage.t.equal(outcomes, ['applied'], 'the update');
      }),
  },
  {
    label: 'paused while it waited',
    needs: pauseWaiting,
    move: (stage) =>
      again(stage, release, async (id) => {
        stage.t.equal(await stage.t.tasks.pause([id]), ['applied'], 'the pause');
        stage.t.equal(await stage.t.tasks.resume([id]), ['applied'], 'the resume');
      }),
  },
  {
    label: 'replaced while it waited',
    needs: uniqueReplace,
    move: (stage) =>
      again(stage, release, async (id) => {
        const outcome = await stage.t.tryEnqueue(stage.t.task({ queue: stage.queue, input: long, ...key }));
        stage.t.equal(outcome, { status: 'replaced', existingId: id }, 'the replacement');
      }),
  },
];

/** STM: where a task lies is the broker's business; whoever settles it must not notice. */
export const movedScenarios: readonly Scenario[] = [
  {
    id: 'STM-17',
    rule: 'R-STM-17',
    title: 'a task that was moved since it was claimed is settled where it is now, beside others that were not',
    tier: 'core',
    patience: 3,
    async run(t) {
      for (const { label, needs, only, move } of moves) {
        if (needs !== undefined && needs(t.capabilities, t.harness) !== true) continue;
        for (const ending of endings) {
          if (only !== undefined && only !== ending.type) continue;
          const what = `${label}, then ${ending.type} by ${ending.by}`;
          await t.cell(what, () => settlesMoved(t, what, move, ending));
        }
      }
      t.ok(t.cells.length > 0, 'something was moved');
    },
  },
];

async function settlesMoved(t: ScenarioContext, queue: string, move: Move, { type, by }: Ending): Promise<void> {
  const [first, second] = [await t.holder(), await t.holder()];
  const next = by === 'another session' ? second : first;
  const keyed = uniqueReplace(t.capabilities, t.harness) === true;
  const tasks = await t.enqueueMany(3, (index) => ({ queue, ...(index === 1 && keyed && key) }));
  const claimed = await first.claimMany(3, { queues: [queue] });
  const middle = claimed.find(({ lease }) => lease.taskId === tasks[1]?.id);
  const delivery = t.defined(middle, 'the delivery to move');
  const moved = await move({ t, queue, holder: first, next, delivery });
  if (moved.delivery.lease.fence !== delivery.lease.fence) {
    t.equal(await first.settle(ending(type, delivery.lease)), 'stale', 'a settle with the lease from before');
  }
  // In one call with those that stayed where they were, if one session holds them all.
  const stayed = claimed.filter((each) => each !== delivery);
  const batches = moved.holder === first ? [[...stayed, moved.delivery]] : [[moved.delivery], stayed];
  for (const batch of batches) {
    const holder = batch.includes(moved.delivery) ? moved.holder : first;
    const outcomes = await holder.settleAll(batch.map(({ lease }) => ending(type, lease)));
    t.equal(
      outcomes,
      batch.map(() => 'applied'),
      'outcomes of the settles',
    );
  }
  t.equal(await moved.holder.settle(ending(type, moved.delivery.lease)), 'stale', 'settling it once more');
  for (const { id } of t.capabilities.tasks.get ? tasks : []) {
    const { state, output, attempt } = await t.record(id);
    const expected = type === 'complete' ? ['succeeded', JSON.stringify(id)] : ['failed', undefined];
    t.equal([state, output], expected, 'the state and the output');
    t.equal(attempt, id === tasks[1]?.id ? moved.delivery.lease.attempt : 1, 'the attempt');
  }
  await second.claimsNothing({ queues: [queue] });
}

/** Each task ends with its own id, so that one that got another's place shows. */
function ending(type: Ending['type'], lease: Lease): SettleOp {
  return type === 'complete'
    ? { type, lease, output: JSON.stringify(lease.taskId) }
    : { type, lease, failure: buildFailure(lease.taskId) };
}

/** Hands it back, lets something happen to it while it waits, and has it claimed again. */
async function again(
  { t, queue, holder, next, delivery }: Stage,
  handBack: (lease: Lease) => SettleOp,
  meanwhile: (id: string) => Promise<void> = async () => {},
): ReturnType<Move> {
  const { lease } = delivery;
  t.equal(await holder.settle(handBack(lease)), 'applied', 'handing it back');
  await meanwhile(lease.taskId);
  const claimed = await next.claimOne({ queues: [queue] });
  t.equal(claimed.lease.taskId, lease.taskId, 'what is claimed again');
  return { holder: next, delivery: claimed };
}

function absent(name: string): ReturnType<Need> {
  return { status: 'unsupported', reason: `unsupported: ${name}` };
}
