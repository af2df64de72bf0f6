import {
  AbortedError,
  type EnqueueOutcome,
  type MillraceError,
  type NewTask,
  transition,
  UnavailableError,
} from '@millrace/core';
import { sleep } from '@millrace/core/adapter';
import type { StoreState } from './store.ts';
import { contentOf, createTask, type StoredTask, stateOf } from './stored-task.ts';
import type { OpenTransaction } from './transaction.ts';

/** Stores one valid task, or says why not. */
export function placeTask(store: StoreState, task: NewTask, transaction?: OpenTransaction): EnqueueOutcome {
  const existing = store.findAny(task.id);
  if (existing !== undefined) return { status: 'duplicate', existingId: existing.id };
  const owner = task.key === undefined ? undefined : store.findByKey(task.queue, task.key);
  if (owner === undefined) {
    insert(store, task, transaction);
    return { status: 'accepted' };
  }
  if (task.onConflict !== 'replace' || transition(stateOf(owner, store.now()), 'update') === undefined) {
    return { status: 'duplicate', existingId: owner.id };
  }
  replace(store, owner, task, transaction);
  return { status: 'replaced', existingId: owner.id };
}

function insert(store: StoreState, task: NewTask, transaction: OpenTransaction | undefined): void {
  const created = createTask(task, store.nextSequence(), store.now());
  created.pendingIn = transaction;
  transaction?.added.add(created);
  store.insert(created);
}

function replace(store: StoreState, owner: StoredTask, task: NewTask, transaction: OpenTransaction | undefined): void {
  store.change(owner, () => {
    if (transaction !== undefined && owner.pendingIn !== transaction) {
      owner.lockedBy = transaction;
      transaction.replacements.set(owner, task);
      return;
    }
    Object.assign(owner, contentOf(task, store.now()));
    // Both belong to the input that has just been replaced.
    owner.checkpoint = undefined;
    owner.progress = undefined;
  });
}

/** Longest wait for somebody else's transaction: two that wait for each other would otherwise never end. */
const blockedForMs = 5_000;

/**
 * Waits while another open transaction holds the task's id or unique key, since only its end says whether they are
 * taken. Returns nothing at all, not even a promise, in the usual case: a batch is then stored in one step.
 */
export function waitUntilFree(
  store: StoreState,
  task: NewTask,
  transaction: OpenTransaction | undefined,
  signal: AbortSignal | undefined,
): Promise<MillraceError | undefined> | undefined {
  const blocker = findBlocker(store, task, transaction);
  return blocker === undefined ? undefined : waitFor(blocker, store, task, transaction, signal);
}

async function waitFor(
  first: OpenTransaction,
  store: StoreState,
  task: NewTask,
  transaction: OpenTransaction | undefined,
  signal: AbortSignal | undefined,
): Promise<MillraceError | undefined> {
  const until = store.clock.monotonic() + blockedForMs;
  let blocker: OpenTransaction | undefined = first;
  while (blocker !== undefined) {
    const left = until - store.clock.monotonic();
    if (signal?.aborted === true)
      return new AbortedError('caller', 'enqueue was aborted; the task was not stored', where);
    if (left <= 0) return conflict();
    const stop = new AbortController();
    const stopSleeping = (): void => stop.abort();
    signal?.addEventListener('abort', stopSleeping, { once: true });
    await Promise.race([blocker.ended, sleep(left, stop.signal, store.clock)]);
    signal?.removeEventListener('abort', stopSleeping);
    stopSleeping();
    blocker = findBlocker(store, task, transaction);
  }
  return undefined;
}

const where = { op: 'enqueue', adapter: 'memory' } as const;

function conflict(): UnavailableError {
  return new UnavailableError(
    `the id or unique key is held by a transaction that did not end within ${blockedForMs} ms; the task was not stored`,
    { ...where, reason: 'transaction-conflict' },
  );
}

function findBlocker(
  store: StoreState,
  task: NewTask,
  transaction: OpenTransaction | undefined,
): OpenTransaction | undefined {
  const owners = [store.findAny(task.id), task.key === undefined ? undefined : store.findByKey(task.queue, task.key)];
  for (const owner of owners) {
    const blocker = owner?.pendingIn ?? owner?.lockedBy;
    if (blocker !== undefined && blocker !== transaction) return blocker;
  }
  return undefined;
}
