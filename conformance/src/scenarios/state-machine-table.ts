import {
  type StopRequest,
  settledState,
  type TaskState,
  type TransitionResult,
  transition,
  transitions,
} from '@millrace/core';
import type { Holder } from '../context/holder.ts';
import type { ScenarioContext } from '../context/scenario-context.ts';
import type { Need, Scenario } from '../scenario.ts';
import {
  checkState,
  claimedResult,
  control,
  controlOutcome,
  type HolderOperation,
  holderOperations,
  type Reached,
  reach,
  settleOp,
  type UserOperation,
  userOperations,
  whyDark,
} from './state-cells.ts';

const states: readonly TaskState[] = [
  'scheduled',
  'pending',
  'running',
  'retrying',
  'paused',
  'removing',
  'succeeded',
  'failed',
  'cancelled',
];

const someStopRequest: Need = ({ tasks }) =>
  tasks.remove ||
  tasks.cancel.includes('running') ||
  tasks.pause.includes('running') || { status: 'unsupported', reason: 'unsupported: stop requests' };

/** STM-01 and STM-14: both tables are core's own data, so that no adapter can have a state machine of its own. */
export const stateMachineTable: readonly Scenario[] = [
  {
    id: 'STM-01',
    rule: 'R-STM-1',
    title: 'every state × every operation ends as the table says, and what the table does not allow changes nothing',
    tier: 'core',
    patience: 2,
    async run(t) {
      const single = ['claim', ...holderOperations, ...userOperations] as const;
      const covered = new Set<string>([...single, 'expire', 'lose']);
      t.equal(
        Object.keys(transitions).filter((operation) => !covered.has(operation)),
        [],
        'operations not covered here',
      );
      const holder = await t.holder();
      for (const state of states) {
        for (const operation of single) {
          const dark = whyDark(t, state, operation);
          if (dark !== undefined) t.notObservable(`${state} × ${operation}`, dark);
          else await t.cell(`${state} × ${operation}`, () => checkCell(t, holder, state, operation));
        }
      }
      await checkTogether(t, 'expire', holder);
      await checkTogether(t, 'lose', await t.mortal());
    },
  },
  {
    id: 'STM-14',
    rule: 'R-STM-14',
    title: 'finished work stays finished when a stop was asked for meanwhile; everything else yields to the request',
    tier: 'core',
    needs: [someStopRequest],
    patience: 2,
    async run(t) {
      const holder = await t.holder();
      const mortal = await t.mortal();
      const lost: { task: Reached; request: StopRequest }[] = [];
      for (const request of ['cancel', 'pause', 'remove'] as const) {
        if (!mayRequest(t, request)) {
          t.notObservable(`${request} requested`, `tasks.${request} of running tasks is not claimed`);
          continue;
        }
        const doomed = await reach(t, mortal, 'running');
        t.equal(await t.tasks[request]([doomed.id]), ['requested'], `outcome of ${request}`);
        lost.push({ task: doomed, request });
        for (const operation of holderOperations) {
          await t.cell(`${request} requested, then ${operation}`, async () => {
            const task = await reach(t, holder, 'running');
            t.equal(await t.tasks[request]([task.id]), ['requested'], `outcome of ${request}`);
            t.equal(await holder.settle(settleOp(operation, task.lease)), 'applied', `outcome of ${operation}`);
            await checkState(t, holder, task, settledState(operation, request), 'running');
          });
        }
      }
      await checkStrength(t, holder);
      if (t.harness.ignoresClock === true) {
        t.notObservable('requested, then lost', 'the harness ignores target.clock');
        return;
      }
      await mortal.fallSilent();
      for (const { task, request } of lost) {
        await t.cell(`${request} requested, then lost`, () =>
          sweepUntil(t, holder, task, settledState('lose', request), 'running'),
        );
      }
    },
  },
];

function mayRequest(t: ScenarioContext, request: StopRequest): boolean {
  const claimed = t.capabilities.tasks[request];
  return typeof claimed === 'boolean' ? claimed : claimed.includes('running');
}

/** From the weakest to the strongest: a request gives way to a stronger one only. */
async function checkStrength(t: ScenarioContext, holder: Holder): Promise<void> {
  const claimed = (['pause', 'cancel', 'remove'] as const).filter((request) => mayRequest(t, request));
  for (const [index, strong] of claimed.entries()) {
    for (const other of claimed) {
      const wins = claimed.indexOf(other) > index ? other : strong;
      await t.cell(`${strong} requested, then ${other}`, async () => {
        const task = await reach(t, holder, 'running');
        t.equal(await t.tasks[strong]([task.id]), ['requested'], `outcome of ${strong}`);
        t.equal(await t.tasks[other]([task.id]), ['requested'], `outcome of ${other}`);
        if (t.capabilities.tasks.get) t.equal((await t.record(task.id)).requested, wins, 'the request noted');
        t.equal(await holder.release(task.lease), 'applied', 'the release');
        await checkState(t, holder, task, settledState('release', wins), 'running');
      });
    }
  }
}

function checkCell(
  t: ScenarioContext,
  holder: Holder,
  state: TaskState,
  operation: 'claim' | HolderOperation | UserOperation,
): Promise<void> {
  if (operation === 'claim') return checkClaim(t, holder, state);
  return isHolderOperation(operation)
    ? checkSettle(t, holder, state, operation)
    : checkControl(t, holder, state, operation);
}

function isHolderOperation(operation: string): operation is HolderOperation {
  return (holderOperations as readonly string[]).includes(operation);
}

async function checkClaim(t: ScenarioContext, holder: Holder, state: TaskState): Promise<void> {
  const task = await reach(t, holder, state, {}, 0);
  const expected = transition(state, 'claim');
  if (expected === undefined) {
    await holder.claimsNothing({ queues: [task.queue] });
    return checkState(t, holder, task, expected, state);
  }
  const { lease } = await holder.claimOne({ queues: [task.queue] });
  t.equal(lease.taskId, task.id, 'the task claimed');
  await checkState(t, holder, { ...task, lease }, expected, state);
}

async function checkSettle(
  t: ScenarioContext,
  holder: Holder,
  state: TaskState,
  operation: HolderOperation,
): Promise<void> {
  const task = await reach(t, holder, state);
  const before = await find(t, task.id);
  const expected = transition(state, operation);
  const outcome = await holder.settle(settleOp(operation, task.lease));
  t.equal(outcome, expected === undefined ? 'stale' : 'applied', 'the outcome');
  if (expected === undefined) t.equal(await find(t, task.id), before, 'the record after a stale settle');
  await checkState(t, holder, task, expected, state);
}

async function checkControl(
  t: ScenarioContext,
  holder: Holder,
  state: TaskState,
  operation: UserOperation,
): Promise<void> {
  const task = await reach(t, holder, state);
  const before = await find(t, task.id);
  const expected = claimedResult(t, state, operation, transition(state, operation));
  const [outcome] = await control(t, task.id, state, operation);
  t.equal(outcome, controlOutcome(expected), 'the outcome');
  if (expected === undefined) t.equal(await find(t, task.id), before, 'the record after a refusal');
  if (expected === 'request' && t.capabilities.tasks.get)
    t.equal((await t.record(task.id)).requested, operation, 'the request noted');
  await checkState(t, holder, task, expected, state);
}

/** Cells that need time to pass do it once for all states. */
async function checkTogether(t: ScenarioContext, operation: 'expire' | 'lose', holder: Holder): Promise<void> {
  // A handful of calls have to be answered before each expires.
  const expiresInMs = Math.round(8 * t.unitMs);
  const changes = operation === 'expire' ? { expiresInMs } : {};
  const reached: { state: TaskState; task: Reached }[] = [];
  for (const state of states) {
    const dark = whyDark(t, state, operation);
    if (dark !== undefined) {
      t.notObservable(`${state} × ${operation}`, dark);
      continue;
    }
    await t.cell(`${state} is reached before ${operation}`, async () => {
      reached.push({ state, task: await reach(t, holder, state, changes) });
    });
  }
  if (reached.length === 0) return;
  if (operation === 'expire') await t.advance(expiresInMs + 1);
  else await holder.fallSilent();
  const observer = operation === 'expire' ? holder : await t.holder();
  for (const { state, task } of reached) {
    await t.cell(`${state} × ${operation}`, () => sweepUntil(t, observer, task, transition(state, operation), state));
  }
}

async function sweepUntil(
  t: ScenarioContext,
  observer: Holder,
  task: Reached,
  expected: TransitionResult | undefined,
  before: TaskState,
): Promise<void> {
  const target = expected ?? before;
  if (t.capabilities.tasks.get) {
    await t.eventually(
      async () => {
        await t.maintain();
        const record = await t.find(task.id);
        return target === 'gone' ? record === undefined : record?.state === target;
      },
      `the task's coming to be ${target}`,
      t.capabilities.session.sweepMs + t.budgetMs,
    );
  } else if (target === 'retrying' && before === 'running') {
    const [again] = await observer.claimRecovered(1, { queues: [task.queue] });
    t.equal(again?.lease.taskId, task.id, 'what is delivered again');
    return;
  } else {
    await t.maintain();
  }
  await checkState(t, observer, task, expected, before);
}

async function find(t: ScenarioContext, id: string): Promise<unknown> {
  return t.capabilities.tasks.get ? t.find(id) : undefined;
}
