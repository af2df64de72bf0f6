import { describe, expect, it } from 'vitest';
import {
  isTerminal,
  settledState,
  type TaskOperation,
  type TaskState,
  type TransitionResult,
  terminalStates,
  transition,
  transitions,
} from './state-machine.ts';

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

const holder: readonly TaskOperation[] = [
  'complete',
  'retry',
  'fail',
  'release',
  'snooze',
  'settlePause',
  'settleCancel',
  'lose',
];

// STM-01, written out by hand: what is not here is refused without effect.
const expected: Readonly<Record<TaskOperation, string>> = {
  claim: 'pending→running retrying→running',
  expire: 'scheduled→failed pending→failed retrying→failed paused→failed',
  lose: 'running→retrying',
  complete: 'running→succeeded',
  retry: 'running→retrying',
  fail: 'running→failed',
  release: 'running→pending',
  snooze: 'running→scheduled',
  settlePause: 'running→paused',
  settleCancel: 'running→cancelled',
  cancel: 'scheduled→cancelled pending→cancelled running→request retrying→cancelled paused→cancelled',
  pause: 'scheduled→paused pending→paused running→request retrying→paused paused→kept',
  resume: 'paused→pending',
  rerun: 'succeeded→pending failed→pending cancelled→pending',
  reschedule: 'scheduled→kept pending→kept retrying→kept paused→kept',
  update: 'scheduled→kept pending→kept retrying→kept paused→kept',
  remove:
    'scheduled→gone pending→gone running→request retrying→gone paused→gone succeeded→gone failed→gone cancelled→gone',
};

const operations = Object.keys(expected) as TaskOperation[];

describe('the state machine', () => {
  it('has exactly the operations of the contract', () => {
    expect(Object.keys(transitions).sort()).toEqual([...operations].sort());
  });

  it.each(operations)('%s leads where the contract says, from every state', (operation) => {
    const cells = states.flatMap((state) => {
      const to = transition(state, operation);
      return to === undefined ? [] : [`${state}→${to}`];
    });
    expect(cells.join(' ')).toBe(expected[operation]);
  });

  it('leads to known states and results only', () => {
    const known = new Set<TransitionResult>([...states, 'request', 'gone', 'kept']);
    for (const operation of operations) {
      for (const [from, to] of Object.entries(transitions[operation])) {
        expect(states).toContain(from);
        expect(known).toContain(to);
      }
    }
  });

  it('lets nothing but its holder or its loss move a running task; users only ask (STM-02)', () => {
    for (const operation of operations) {
      const to = transition('running', operation);
      if (holder.includes(operation)) expect(to).toBeDefined();
      else expect([undefined, 'request']).toContain(to);
    }
  });

  it('lets a holder do nothing to a task that does not run', () => {
    for (const operation of holder) {
      for (const state of states.filter((one) => one !== 'running'))
        expect(transition(state, operation)).toBeUndefined();
    }
  });

  it('keeps ended tasks as they are until they are rerun or removed', () => {
    for (const state of states.filter(isTerminal)) {
      const allowed = operations.filter((operation) => transition(state, operation) !== undefined);
      expect(allowed).toEqual(['rerun', 'remove']);
    }
  });

  it('reaches every state but removing, which is for adapters with cleanup', () => {
    const reached = new Set(operations.flatMap((operation) => Object.values(transitions[operation])));
    expect(states.filter((state) => !reached.has(state))).toEqual(['removing']);
  });

  it('knows three terminal states', () => {
    expect(states.filter(isTerminal)).toEqual(['succeeded', 'failed', 'cancelled']);
    expect([...terminalStates]).toEqual(states.filter(isTerminal));
  });
});

describe('settledState', () => {
  it('is the plain transition without a request', () => {
    for (const operation of operations)
      expect(settledState(operation, undefined)).toBe(transition('running', operation));
  });

  // Rows: how the run ended. Columns: what was asked for meanwhile.
  const table: readonly (readonly [TaskOperation, TransitionResult, TransitionResult, TransitionResult])[] = [
    ['complete', 'succeeded', 'succeeded', 'succeeded'],
    ['fail', 'cancelled', 'failed', 'gone'],
    ['retry', 'cancelled', 'paused', 'gone'],
    ['lose', 'cancelled', 'paused', 'gone'],
    ['release', 'cancelled', 'paused', 'gone'],
    ['snooze', 'cancelled', 'paused', 'gone'],
    ['settlePause', 'cancelled', 'paused', 'gone'],
    ['settleCancel', 'cancelled', 'cancelled', 'gone'],
  ];

  it.each(table)('%s: cancel → %s, pause → %s, remove → %s', (operation, cancel, pause, remove) => {
    const results = (['cancel', 'pause', 'remove'] as const).map((request) => settledState(operation, request));
    expect(results).toEqual([cancel, pause, remove]);
  });

  it('is decided for every operation of a holder', () => {
    expect(table.map(([operation]) => operation).sort()).toEqual([...holder].sort());
  });
});
