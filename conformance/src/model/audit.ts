import type { SettleOp } from '@millrace/core';
import type { ModelOperation } from './operation.ts';
import { openSession } from './resolve.ts';
import type { AuditedRun } from './run-program.ts';
import type { Scale } from './scale.ts';
import { queueNames, taskNames } from './vocabulary.ts';

/**
 * What ends every program: everything is read, then everything that stands in the way is taken away, and what is left
 * is claimed and completed. What got lost, stuck or doubled on the way shows here at the latest.
 */
export async function* auditOperations(run: AuditedRun, scale: Scale): AsyncGenerator<ModelOperation> {
  yield* readAll(run);
  for (const session of run.state.sessions.values()) {
    if (session.state === 'live') yield { type: 'endSession', session: session.id, close: false };
  }
  for (const queue of run.state.pausedQueues) yield { type: 'queueResume', queue };
  const ms = healingMs(run, scale);
  if (ms > 0) yield { type: 'advance', ms };
  yield { type: 'maintain' };
  const paused = [...run.state.tasks.values()].filter((task) => task.state === 'paused').map((task) => task.id);
  if (paused.length > 0 && run.rules.capabilities.tasks.pause.length > 0)
    yield { type: 'control', control: 'resume', ids: paused };
  yield* drain(run, scale);
  yield* readAll(run);
}

/** Long enough for what is delayed to fall due, and for whoever fell silent to be given up. */
function healingMs({ state }: AuditedRun, scale: Scale): number {
  if (scale.advances.length === 0) return 0;
  const isSilent = [...state.sessions.values()].some((session) => session.deadline !== undefined);
  const patience = isSilent ? scale.ttlMs : 0;
  // A delay that does not fit into 31 bits is looked at, not waited for.
  return patience + Math.max(...scale.delays.filter((delayMs) => delayMs < 2 ** 31)) + 1_000;
}

function* readAll({ ids, rules }: AuditedRun): Generator<ModelOperation> {
  const { tasks, queues } = rules.capabilities;
  if (tasks.get && ids.length > 0) yield { type: 'get', ids };
  for (const queue of queueNames) {
    yield { type: 'queueStats', queue };
    if (tasks.count && queues.counts === 'exact') yield { type: 'count', filter: { queues: [queue] } };
    if (tasks.list) yield { type: 'list', filter: { queues: [queue] }, limit: 3 };
  }
}

async function* drain(run: AuditedRun, scale: Scale): AsyncGenerator<ModelOperation> {
  const opened = openSession(run.state, scale);
  if (opened.type !== 'openSession') return;
  yield opened;
  const { session } = opened;
  const request = {
    queues: queueNames,
    names: taskNames,
    limit: Math.min(5, run.rules.capabilities.batch.maxClaim),
    waitMs: 0,
  };
  // The rules allow no task to come twice, so this ends; the bound is for brokers that break them.
  for (let round = 0; round <= run.ids.length; round++) {
    yield { type: 'claim', session, request };
    const { outcome } = run.trace.at(-1) ?? {};
    if (outcome?.type !== 'claim' || outcome.deliveries.length === 0) return;
    const operations = outcome.deliveries.map(
      ({ lease }): SettleOp => ({ type: 'complete', lease, output: '"drained"' }),
    );
    yield { type: 'settle', session, operations };
  }
}
