import { faultScenarios } from '../faults/fault-scenarios.ts';
import { impairScenarios } from '../faults/scenarios-impair.ts';
import { serverScenarios } from '../faults/scenarios-server.ts';
import { groupOf, type Scenario } from '../scenario.ts';
import { badInput } from './bad-input.ts';
import { beatScenarios } from './beat.ts';
import { bulkScenarios } from './bulk.ts';
import { cancel } from './cancel.ts';
import { claimByIdScenarios } from './claim-by-id.ts';
import { claimByIdCourse } from './claim-by-id-course.ts';
import { concurrency } from './concurrency.ts';
import { dedupe } from './dedupe.ts';
import { delay } from './delay.ts';
import { durableScenarios } from './durable.ts';
import { largeBatchScenarios } from './large-batch.ts';
import { lease } from './lease.ts';
import { leaseSession } from './lease-session.ts';
import { model } from './model.ts';
import { modelLifecycle } from './model-lifecycle.ts';
import { movedScenarios } from './moved.ts';
import { observe } from './observe.ts';
import { ordering } from './ordering.ts';
import { pause } from './pause.ts';
import { payload } from './payload.ts';
import { priority } from './priority.ts';
import { processScenarios } from './process.ts';
import { recordedScenarios } from './recorded.ts';
import { stateMachine } from './state-machine.ts';
import { stateMachineEnds } from './state-machine-ends.ts';
import { stateMachineTable } from './state-machine-table.ts';
import { together } from './together.ts';
import { transactionScenarios } from './transactions.ts';
import { upgradeScenarios } from './upgrade.ts';
import { wholeScenarios } from './whole.ts';
import { workerConcurrency } from './worker-concurrency.ts';
import { workerFailure } from './worker-failure.ts';
import { workerLease } from './worker-lease.ts';
import { workerObserve } from './worker-observe.ts';
import { workerPayload } from './worker-payload.ts';
import { workerRetry } from './worker-retry.ts';
import { workerShutdown } from './worker-shutdown.ts';

/** The groups as conformance reports list them. */
const groups = [
  'MOD',
  'STM',
  'ORD',
  'DLY',
  'RTY',
  'LSE',
  'DUP',
  'CAN',
  'PAU',
  'PRI',
  'CON',
  'CBI',
  'PAY',
  'BAD',
  'SHD',
  'FLT',
  'OBS',
];

/** Every scenario, in the order of their ids. */
export const scenarios: readonly Scenario[] = inOrder(
  [model, modelLifecycle, durableScenarios, transactionScenarios, bulkScenarios, largeBatchScenarios],
  [stateMachine, stateMachineTable, stateMachineEnds, movedScenarios, together],
  [ordering, delay, lease, leaseSession, dedupe, cancel, pause, priority, concurrency, payload, badInput, observe],
  [claimByIdScenarios, claimByIdCourse],
  [workerRetry, workerFailure, workerLease, workerShutdown, workerConcurrency, workerPayload, workerObserve],
  [recordedScenarios, upgradeScenarios, wholeScenarios, beatScenarios],
  [processScenarios, faultScenarios, serverScenarios(), impairScenarios],
);

function inOrder(...parts: readonly (readonly (readonly Scenario[])[])[]): Scenario[] {
  const rank = (scenario: Scenario): number => groups.indexOf(groupOf(scenario));
  return parts.flat(2).sort((a, b) => rank(a) - rank(b) || (a.id < b.id ? -1 : 1));
}
