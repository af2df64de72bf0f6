import type { ControlOutcome, EnqueueOutcome, SettleOutcome } from '@millrace/core';
import type { ModelOperation, ModelOutcome, Occasion } from './operation.ts';
import { applyClaim } from './rules/claim.ts';
import { applyControl } from './rules/control.ts';
import { applyEnqueue } from './rules/enqueue.ts';
import { applyMaintain, applyPurge } from './rules/maintain.ts';
import { applyCount, applyGet, applyList, applyStats } from './rules/reads.ts';
import { endSession, freeze, openSession, thaw } from './rules/sessions.ts';
import { applyReport, applySettle } from './rules/settle.ts';
import type { ModelRules } from './rules.ts';
import type { ModelState } from './state.ts';
import type { Step } from './step.ts';

const done: ModelOutcome = { type: 'done' };

/**
 * Every legal way an operation may end: the reference rules of the contract, as a pure function. It is a set because
 * the contract leaves room: weaker order, work a broker does by itself at a time of its own, races that either side
 * may win. With `observed`, only the ways that look like it; none means that the broker broke a rule.
 */
export function apply(
  state: ModelState,
  operation: ModelOperation,
  occasion: Occasion,
  rules: ModelRules,
  observed?: ModelOutcome,
): readonly Step[] {
  switch (operation.type) {
    case 'enqueue':
      return wrap(
        applyEnqueue(state, operation.tasks, occasion, rules, partsOf('enqueue', observed)),
        (outcomes) => ({ type: 'enqueue', outcomes }),
        observed,
      );
    case 'claim':
      return applyClaim(state, operation.session, operation.request, occasion, rules, observed);
    case 'settle':
      return wrap(
        applySettle(state, operation.session, operation.operations, occasion, rules, partsOf('settle', observed)),
        (outcomes) => ({ type: 'settle', outcomes }),
        observed,
      );
    case 'report':
      if (observed?.type === 'error') return refusedReport(state, operation.session, observed);
      return wrap(
        applyReport(state, operation.session, operation.reports, occasion, rules, partsOf('settle', observed)),
        (outcomes) => ({ type: 'settle', outcomes }),
        observed,
      );
    case 'control':
      return wrap(
        applyControl(state, operation, occasion, rules, partsOf('control', observed)),
        (outcomes) => ({ type: 'control', outcomes }),
        observed,
      );
    case 'get':
      return applyGet(state, operation.ids, occasion, rules, observed);
    case 'count':
      return applyCount(state, operation.filter, occasion, rules, observed);
    case 'list':
      return applyList(state, operation.filter, occasion, rules, observed);
    case 'queueStats':
      return applyStats(state, operation.queue, occasion, rules, observed);
    case 'queuePurge':
      return applyPurge(state, operation.queue, occasion, rules, observed);
    case 'maintain':
      return applyMaintain(state, occasion, rules, observed);
    default:
      return quiet(applyQuiet(state, operation, occasion), observed);
  }
}

type Quiet = Exclude<
  ModelOperation,
  {
    type:
      | 'enqueue'
      | 'claim'
      | 'settle'
      | 'report'
      | 'control'
      | 'get'
      | 'count'
      | 'list'
      | 'queueStats'
      | 'queuePurge'
      | 'maintain';
  }
>;

/** Operations that answer nothing worth comparing. */
function applyQuiet(state: ModelState, operation: Quiet, occasion: Occasion): readonly Step[] {
  switch (operation.type) {
    case 'openSession':
      return openSession(state, operation.session, operation.ttlMs, operation.worker);
    case 'endSession':
      return endSession(state, operation.session, occasion);
    case 'freeze':
      return freeze(state, operation.session, occasion);
    case 'thaw':
      return thaw(state, operation.session, occasion);
    case 'queuePause':
      return [{ outcome: done, state: { ...state, pausedQueues: new Set(state.pausedQueues).add(operation.queue) } }];
    case 'queueResume': {
      const pausedQueues = new Set(state.pausedQueues);
      pausedQueues.delete(operation.queue);
      return [{ outcome: done, state: { ...state, pausedQueues } }];
    }
    default:
      return [{ outcome: done, state }];
  }
}

function quiet(steps: readonly Step[], observed: ModelOutcome | undefined): readonly Step[] {
  if (observed === undefined) return steps;
  return steps.filter(
    ({ outcome }) =>
      outcome.type === observed.type &&
      (outcome.type !== 'thaw' || observed.type !== 'thaw' || outcome.lost === observed.lost),
  );
}

/** Answers that have a part for each thing asked. */
interface PartOf {
  readonly enqueue: EnqueueOutcome;
  readonly settle: SettleOutcome;
  readonly control: ControlOutcome;
}

/** The parts of an answer. An answer of another kind has none, and matches nothing. */
function partsOf<T extends keyof PartOf>(
  type: T,
  observed: ModelOutcome | undefined,
): readonly PartOf[T][] | undefined {
  if (observed === undefined) return undefined;
  return observed.type === type ? (observed as unknown as { readonly outcomes: readonly PartOf[T][] }).outcomes : [];
}

function wrap<T>(
  steps: readonly Step<T[]>[],
  make: (outcomes: T[]) => ModelOutcome,
  observed: ModelOutcome | undefined,
): readonly Step[] {
  if (observed?.type === 'error') return [];
  return steps
    .map(({ outcome, state }) => ({ outcome: make(outcome), state }))
    .filter(({ outcome }) => isAsLong(outcome, observed));
}

function isAsLong(outcome: ModelOutcome, observed: ModelOutcome | undefined): boolean {
  if (observed === undefined || !('outcomes' in outcome)) return true;
  return 'outcomes' in observed && observed.outcomes.length === outcome.outcomes.length;
}

/** After its client was closed a report may be refused as well; a settle may not (R-MOD-3). */
function refusedReport(
  state: ModelState,
  session: string,
  observed: ModelOutcome & { readonly type: 'error' },
): Step[] {
  const isClosed = state.sessions.get(session)?.state === 'ended' && observed.code === 'CLOSED';
  return isClosed ? [{ outcome: observed, state }] : [];
}
