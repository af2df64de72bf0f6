import { isTerminal, type TaskRecord } from '@millrace/core';
import type { StoreState } from './store.ts';
import { recordOf } from './task-record.ts';

/**
 * Resolves when every task has ended or is gone, or when the time is over or a signal aborts: then with the states as
 * they are. It looks and starts to listen in one step, so no ending is missed (S15).
 */
export function waitForEndings(
  store: StoreState,
  ids: readonly string[],
  waitMs: number,
  signals: readonly AbortSignal[],
): Promise<(TaskRecord | undefined)[]> {
  const endings = new Map<string, TaskRecord | undefined>();
  const open = new Set(ids);

  function look(id: string): void {
    const task = store.find(id);
    if (task !== undefined && !isTerminal(task.state)) return;
    endings.set(id, task === undefined ? undefined : recordOf(task, store.now()));
    open.delete(id);
  }

  function answer(id: string): TaskRecord | undefined {
    if (endings.has(id)) return endings.get(id);
    const task = store.find(id);
    return task === undefined ? undefined : recordOf(task, store.now());
  }

  for (const id of [...open]) look(id);
  return new Promise((resolve) => {
    if (open.size === 0 || waitMs === 0 || signals.some((signal) => signal.aborted)) {
      resolve(ids.map(answer));
      return;
    }
    const finish = (): void => {
      store.clock.clearTimer(timer);
      for (const unwatch of unwatches) unwatch();
      for (const signal of signals) signal.removeEventListener('abort', finish);
      resolve(ids.map(answer));
    };
    const unwatches = [...open].map((id) =>
      store.endings.watch(id, () => {
        look(id);
        if (open.size === 0) finish();
      }),
    );
    // Somebody awaits the answer: the process must not end before it is there.
    const timer = store.clock.setTimer(finish, waitMs, { keepAlive: true });
    for (const signal of signals) signal.addEventListener('abort', finish, { once: true });
  });
}
