import type { Capabilities, TaskCapabilities } from '@millrace/core';
import type { Hooks } from './harness.ts';
import type { Need } from './scenario.ts';

/** Needs a capability. `name` is its path, as `UnsupportedError.capability` has it. */
export function capability(name: string, claimed: (capabilities: Capabilities) => boolean): Need {
  return (capabilities) => claimed(capabilities) || { status: 'unsupported', reason: `unsupported: ${name}` };
}

/** Needs operations of the task store. */
export function taskStore(...operations: readonly (keyof TaskCapabilities)[]): Need {
  return (capabilities) => {
    const missing = operations.find((operation) => {
      const claimed = capabilities.tasks[operation];
      return typeof claimed === 'boolean' ? !claimed : claimed.length === 0;
    });
    return missing === undefined || { status: 'unsupported', reason: `unsupported: tasks.${missing}` };
  };
}

/** Needs all of these. Answers with the first obstacle. */
export function allOf(...needs: readonly Need[]): Need {
  return (capabilities, harness) => {
    for (const need of needs) {
      const answer = need(capabilities, harness);
      if (answer !== true) return answer;
    }
    return true;
  };
}

/** Needs a hook of the harness. */
export function hook(name: keyof Hooks): Need {
  return (_capabilities, harness) =>
    harness.hooks?.[name] !== undefined || { status: 'not-run', reason: `not run: no hook ${name}` };
}

/** Needs to freeze a client: its timers stop, its calls go on. */
export const freezing: Need = (_capabilities, harness) =>
  harness.ignoresClock !== true || { status: 'not-run', reason: 'not run: the harness ignores target.clock' };

/** Needs time that only moves when the scenario says so. */
export const virtualTime: Need = (_capabilities, harness) =>
  harness.clock !== undefined || { status: 'not-run', reason: 'not run: no virtual clock' };

/** Needs worker processes of its own. */
export const processes: Need = (_capabilities, harness) =>
  harness.workerModule !== undefined || { status: 'not-run', reason: 'not run: no workerModule' };

export const serverClock: Need = capability('clock.server', (c) => c.clock === 'server');
export const fifo: Need = capability('order.fifo', (c) => c.order === 'fifo');
export const strictPriority: Need = capability('priority.strict', (c) => c.priority.strict);
export const claimById: Need = capability('claimById', (c) => c.claimById);
export const unique: Need = capability('unique', (c) => c.unique !== false);
export const uniqueReplace: Need = capability('unique.replace', (c) => c.unique !== false && c.unique.replace);
export const idempotentIds: Need = capability('idempotentIds', (c) => c.idempotentIds);
export const transactions: Need = capability('transactions', (c) => c.transactions);
export const cancelWaiting: Need = capability('tasks.cancel.waiting', (c) => c.tasks.cancel.includes('waiting'));
export const cancelRunning: Need = capability('tasks.cancel.running', (c) => c.tasks.cancel.includes('running'));
export const pauseWaiting: Need = capability('tasks.pause.waiting', (c) => c.tasks.pause.includes('waiting'));
export const pauseRunning: Need = capability('tasks.pause.running', (c) => c.tasks.pause.includes('running'));
export const queuePause: Need = capability('queues.pause.global', (c) => c.queues.pause === 'global');
export const exactCounts: Need = capability('queues.counts.exact', (c) => c.queues.counts === 'exact');
