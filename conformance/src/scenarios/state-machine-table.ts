import {
  type ControlOutcome,
  type Lease,
  type SettleOp,
  type StopRequest,
  settledState,
  type TaskOperation,
  type TaskState,
  type TransitionResult,
  transition,
  transitions,
} from '@millrace/core';
import { buildFailure } from '../context/builders.ts';
import type { Holder } from '../context/holder.ts';
import type { ScenarioContext } from '../context/scenario-context.ts';
import { cancelRunning, freezing, pauseRunning, taskStore } from '../needs.ts';
import type { Scenario } from '../scenario.ts';

const hourMs = 3_600_000;
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
type HolderOperation = 'complete' | 'retry' | 'fail' | 'release' | 'snooze' | 'settlePause' | 'settleCancel';
const holderOperations: readonly HolderOperation[] = [
  'complete',
  'retry',
  'fail',
  'release',
  'snooze',
  'settlePause',
  'settleCancel',
];
const userOperations = ['cancel', 'pause', 'resume', 'rerun', 'reschedule', 'update', 'remove'] as const;

/** STM-01 and STM-14: both tables are core's own data, so that no adapter can have a state machine of its own. */
export const stateMachineTable: readonly Scenario[] = [
  {
    id: 'STM-01',
    rule: 'R-STM-1',
    title: 'every state × every operation ends as the table says, and what the table does not allow changes nothing',
    tier: 'core',
    needs: [taskStore('get', 'cancel', 'pause', 'rerun', 'reschedule', 'update', 'remove'), freezing],
    patience: 2,
    async run(t) {
      const covered = new Set<string>(['claim', 'expire', 'lose', ...holderOperations, ...userOperations]);
      t.equal(
        Object.keys(transitions).filter((operation) => !covered.has(operation)),
        [],
        'operations not covered here',
      );
      const holder = await t.holder();
      for (const state of states.filter((each) => each !== 'removing')) {
        await t.cell(`${state} × claim`, () => checkClaim(t, holder, state));
        for (const operation of holderOperations) {
          await t.cell(`${state} × ${operation}`, () => checkSettle(t, holder, state, operation));
        }
        for (const operation of userOperations) {
          await t.cell(`${state} × ${operation}`, () => checkControl(t, holder, state, operation));
        }
      }
      await checkTogether(t, 'expire', holder);
      await checkTogether(t, 'lose', await t.mortal());
      for (const operation of covered) {
        t.notObservable(`removing × ${operation}`, 'no operation of the contract leads there yet');
      }
    },
  },
  {
    id: 'STM-14',
    rule: 'R-STM-14',
    title: 'finished work stays finished when a stop was asked for meanwhile; everything else yields to the request',
    tier: 'core',
    needs: [taskStore('get', 'remove'), cancelRunning, pauseRunning, freezing],
    patience: 2,
    async run(t) {
      const holder = await t.holder();
      const mortal = await t.mortal();
      const lost: { id: string; request: StopRequest }[] = [];
      for (const request of ['cancel', 'pause', 'remove'] as const) {
        const doomed = await reach(t, mortal, 'running', {});
        t.equal(await t.tasks[request]([doomed.id]), ['requested'], `outcome of ${request}`);
        lost.push({ id: doomed.id, request });
        for (const operation of holderOperations) {
          await t.cell(`${request} requested, then ${operation}`, async () => {
            const task = await reach(t, holder, 'running', {});
            t.equal(await t.tasks[request]([task.id]), ['requested'], `outcome of ${request}`);
            t.equal(await holder.settle(settleOp(operation, task.lease)), 'applied', `outcome of ${operation}`);
            await checkState(t, task.id, settledState(operation, request), 'running');
          });
        }
      }
      await mortal.fallSilent();
      for (const { id, request } of lost) {
        await t.cell(`${request} requested, then lost`, () =>
          sweepUntil(t, id, settledState('lose', request), 'running'),
        );
      }
    },
  },
];

interface Reached {
  readonly id: string;
  readonly queue: string;
  /** The last lease there was, or a made-up one. */
  readonly lease: Lease;
}

let cells = 0;

/** Brings a task into a state, in a queue of its own so that cells do not see each other. */
async function reach(
  t: ScenarioContext,
  holder: Holder,
  state: TaskState,
  changes: { readonly expiresInMs?: number },
  retryDelayMs: number = hourMs,
): Promise<Reached> {
  cells += 1;
  const queue = `cell-${cells}`;
  const task = await t.enqueue({ queue, delayMs: state === 'scheduled' ? hourMs : 0, ...changes });
  const invented: Lease = { taskId: task.id, attempt: 1, fence: 0, sessionId: holder.session.id };
  const reached = { id: task.id, queue, lease: invented };
  if (state === 'paused') await t.tasks.pause([task.id]);
  if (state === 'cancelled') await t.tasks.cancel([task.id]);
  if (['running', 'retrying', 'succeeded', 'failed'].includes(state)) {
    const { lease } = await holder.claimOne({ queues: [queue] });
    if (state === 'retrying') await holder.retry(lease, retryDelayMs);
    if (state === 'succeeded') await holder.complete(lease, '"done"');
    if (state === 'failed') await holder.fail(lease);
    await checkState(t, task.id, state, state);
    return { ...reached, lease };
  }
  await checkState(t, task.id, state, state);
  return reached;
}

async function checkClaim(t: ScenarioContext, holder: Holder, state: TaskState): Promise<void> {
  const task = await reach(t, holder, state, {}, 0);
  const expected = transition(state, 'claim');
  if (expected === undefined) await holder.claimsNothing({ queues: [task.queue] });
  else t.equal((await holder.claimOne({ queues: [task.queue] })).lease.taskId, task.id, 'the task claimed');
  await checkState(t, task.id, expected, state);
}

async function checkSettle(
  t: ScenarioContext,
  holder: Holder,
  state: TaskState,
  operation: HolderOperation,
): Promise<void> {
  const task = await reach(t, holder, state, {});
  const before = await t.find(task.id);
  const expected = transition(state, operation);
  const outcome = await holder.settle(settleOp(operation, task.lease));
  t.equal(outcome, expected === undefined ? 'stale' : 'applied', 'the outcome');
  if (expected === undefined) t.equal(await t.find(task.id), before, 'the record after a stale settle');
  else await checkState(t, task.id, expected, state);
}

async function checkControl(
  t: ScenarioContext,
  holder: Holder,
  state: TaskState,
  operation: (typeof userOperations)[number],
): Promise<void> {
  const task = await reach(t, holder, state, {});
  const before = await t.find(task.id);
  const expected = transition(state, operation);
  const [outcome] = await control(t, task.id, state, operation);
  t.equal(outcome, controlOutcome(expected), 'the outcome');
  if (expected === undefined) t.equal(await t.find(task.id), before, 'the record after a refusal');
  else await checkState(t, task.id, expected, state);
  if (expected === 'request') t.equal((await t.record(task.id)).requested, operation, 'the request noted');
}

/** Cells that need time to pass do it once for all states. */
async function checkTogether(t: ScenarioContext, operation: 'expire' | 'lose', holder: Holder): Promise<void> {
  // A handful of calls have to be answered before each expires.
  const expiresInMs = Math.round(8 * t.unitMs);
  const changes = operation === 'expire' ? { expiresInMs } : {};
  const reached: { state: TaskState; task: Reached }[] = [];
  for (const state of states.filter((each) => each !== 'removing')) {
    await t.cell(`${state} is reached before ${operation}`, async () => {
      reached.push({ state, task: await reach(t, holder, state, changes) });
    });
  }
  if (operation === 'expire') await t.advance(expiresInMs + 1);
  else await holder.fallSilent();
  for (const { state, task } of reached) {
    await t.cell(`${state} × ${operation}`, () => sweepUntil(t, task.id, transition(state, operation), state));
  }
}

async function sweepUntil(
  t: ScenarioContext,
  id: string,
  expected: TransitionResult | undefined,
  before: TaskState,
): Promise<void> {
  const target = expected ?? before;
  const { sweepMs } = t.capabilities.session;
  await t.eventually(
    async () => {
      await t.maintain();
      const record = await t.find(id);
      return target === 'gone' ? record === undefined : record?.state === target;
    },
    `the task's coming to be ${target}`,
    sweepMs + t.budgetMs,
  );
  await checkState(t, id, expected, before);
}

async function checkState(
  t: ScenarioContext,
  id: string,
  expected: TransitionResult | undefined,
  before: TaskState,
): Promise<void> {
  const record = await t.find(id);
  if (expected === 'gone') t.equal(record, undefined, 'a removed task');
  else if (expected === 'request' || expected === 'kept' || expected === undefined)
    t.equal(record?.state, before, 'the state');
  else t.equal(record?.state, expected, 'the state');
}

function settleOp(operation: HolderOperation, lease: Lease): SettleOp {
  switch (operation) {
    case 'retry':
      return { type: 'retry', lease, delayMs: hourMs, failure: buildFailure() };
    case 'fail':
      return { type: 'fail', lease, failure: buildFailure() };
    case 'snooze':
      return { type: 'snooze', lease, delayMs: hourMs };
    case 'settlePause':
      return { type: 'pause', lease };
    case 'settleCancel':
      return { type: 'cancel', lease };
    default:
      return { type: operation, lease };
  }
}

function control(
  t: ScenarioContext,
  id: string,
  state: TaskState,
  operation: Extract<TaskOperation, (typeof userOperations)[number]>,
): Promise<ControlOutcome[]> {
  // A due time that keeps the state: `scheduled` stays ahead, the others stay due.
  if (operation === 'reschedule') return t.tasks.reschedule([id], { delayMs: state === 'scheduled' ? hourMs : 0 });
  if (operation === 'update') return t.tasks.update([id], { priority: 8 });
  return t.tasks[operation]([id]);
}

function controlOutcome(expected: TransitionResult | undefined): ControlOutcome {
  return expected === undefined ? 'refused' : expected === 'request' ? 'requested' : 'applied';
}
