import type { Broker, Delivery, NewTask, SettleOp } from '@millrace/core';
import type { Dice } from './simulation.ts';

export const queues: readonly string[] = ['line', 'other'];
export const names: readonly string[] = ['work', 'more'];

/** How a run ends. Core would not ask for another attempt beyond the last. */
export function settleOf({ lease, maxAttempts }: Delivery, dice: Dice): SettleOp {
  const failure = { kind: 'error', name: 'Error', message: 'it broke' } as const;
  const how = dice.pick([
    'complete',
    'complete',
    'complete',
    'retry',
    'retry',
    'fail',
    'release',
    'snooze',
    'pause',
    'cancel',
  ]);
  if (how === 'retry' && lease.attempt < maxAttempts) {
    return { type: 'retry', lease, delayMs: dice.pick([0, 0, 20, 60]), failure };
  }
  if (how === 'retry' || how === 'fail') return { type: 'fail', lease, failure };
  if (how === 'snooze') return { type: 'snooze', lease, delayMs: dice.pick([0, 30]) };
  if (how === 'complete') return { type: 'complete', lease, output: `"${lease.fence}"` };
  return { type: how as 'release' | 'pause' | 'cancel', lease };
}

/** Something a user does to a task or to a queue. */
export async function controlTask(
  broker: Broker<never>,
  id: string,
  ids: readonly string[],
  dice: Dice,
): Promise<void> {
  const { tasks, queues: lines } = broker;
  const queue = dice.pick(queues);
  if (tasks === undefined) return;
  switch (dice.below(12)) {
    case 0:
      return void (await tasks.cancel([id]));
    case 1:
      return void (await tasks.pause([id]));
    case 2:
    case 3:
      return void (await tasks.resume([id]));
    case 4:
      return void (await tasks.rerun([id]));
    case 5:
      return void (await tasks.remove([id]));
    case 6:
      return void (await tasks.reschedule([id], { delayMs: dice.pick([0, 40]) }));
    case 7:
      return void (await tasks.update([id], dice.chance(0.5) ? { priority: 9 } : { input: '"updated"' }));
    case 8:
      return lines.pause(queue);
    case 9:
      return lines.resume(queue);
    case 10:
      return dice.chance(0.2) ? void (await lines.purge(queue)) : undefined;
    default:
      return void (await tasks.get([id, dice.pick(ids.length > 0 ? ids : ['nobody'])]));
  }
}

/** A task, now and then under an id that was used before. The id is noted. */
export function newTask(ids: string[], dice: Dice): NewTask {
  const again = ids.length > 0 && dice.chance(0.05);
  const id = again ? dice.pick(ids) : `t${ids.length}`;
  if (!again) ids.push(id);
  const key = dice.chance(0.3) ? dice.pick(['k0', 'k1']) : undefined;
  return {
    id,
    name: dice.pick(names),
    queue: dice.pick(queues),
    input: `"${id}"`,
    headers: {},
    priority: dice.pick([4, 4, 4, 7, 0]),
    delayMs: dice.pick([0, 0, 0, 25, 80]),
    maxAttempts: dice.pick([1, 2, 3, Number.POSITIVE_INFINITY]),
    version: 1,
    ...(dice.chance(0.1) && { expiresInMs: 100 }),
    ...(key !== undefined && {
      key,
      keyUntil: dice.pick(['settled', 'started'] as const),
      onConflict: dice.pick(['ignore', 'replace'] as const),
    }),
  };
}
