import type { CheckContext } from '../check-context.ts';
import { mayHaveTaken, type Operation, took } from '../operation.ts';
import { acceptedEnqueue, isEnding } from '../task-facts.ts';
import { push, type TaskHistory } from '../task-history.ts';

/** The per-task part of H15, and H21: an id is accepted once. */
export function checkIds(task: TaskHistory, context: CheckContext): void {
  if (task.enqueues.length === 0) return;
  const isTick = task.id.startsWith('schedule:');
  const id = isTick ? 'H21' : 'H15';
  if (!isTick && !context.options.capabilities.idempotentIds) return;
  context.saw(id);
  const [first, second] = task.enqueues.filter((enqueue) => enqueue.outcome === 'accepted');
  if (first === undefined || second === undefined) return;
  context.fail(id, task, [{ what: first }, { what: second, wrong: 'the id was accepted before' }]);
}

/** A task that had a unique key from its enqueue on. */
interface KeyHolder {
  readonly task: TaskHistory;
  readonly enqueue: Operation;
  /** The earliest instant at which it may have let go of the key. */
  readonly mayLetGo: number;
  /** The latest instant at which it surely had. */
  readonly hasLetGo: number;
}

/** The part of H15 about unique keys, and what a duplicate points at. */
export function checkKeys(context: CheckContext): void {
  const holders = new Map<string, KeyHolder[]>();
  const lives = new Map<string, TaskHistory[]>();
  const refused: { readonly task: TaskHistory; readonly enqueue: Operation }[] = [];
  for (const task of context.timeline.tasks) {
    if (!task.enqueues.some((enqueue) => enqueue.key !== undefined)) continue;
    lives.set(task.id, push(lives.get(task.id) ?? [], task));
    if (task.unclear) continue;
    for (const enqueue of task.enqueues) {
      if (enqueue.outcome === 'duplicate') refused.push({ task, enqueue });
      if (enqueue.outcome !== 'accepted' || enqueue.key === undefined || enqueue.args.tx !== undefined) continue;
      const place = `${enqueue.queue}\0${enqueue.key}`;
      const holder = { task, enqueue, mayLetGo: mayLetGoAt(task, context), hasLetGo: hasLetGoAt(task) };
      const list = holders.get(place);
      if (list === undefined) holders.set(place, [holder]);
      else list.push(holder);
    }
  }
  for (const list of holders.values()) checkHolders(list, context);
  for (const { task, enqueue } of refused) checkRefusal(task, enqueue, lives, context);
}

/** Two that were accepted one after the other: the first must have been able to let go before the second was answered. */
function checkHolders(holders: readonly KeyHolder[], context: CheckContext): void {
  const inTurn = [...holders].sort((a, b) => a.enqueue.invoke - b.enqueue.invoke);
  for (let index = 0; index < inTurn.length; index++) {
    context.saw('H15');
    const first = inTurn[index - 1];
    const second = inTurn[index] as KeyHolder;
    if (first === undefined || canFollow(second, first)) continue;
    if (first.enqueue.return > second.enqueue.invoke && canFollow(first, second)) continue;
    context.fail('H15', second.task, [
      { what: first.enqueue },
      { what: second.enqueue, wrong: `key ${second.enqueue.key} was still held by ${first.task.id}` },
    ]);
  }
}

function canFollow(second: KeyHolder, first: KeyHolder): boolean {
  return first.mayLetGo <= second.enqueue.return;
}

function checkRefusal(
  task: TaskHistory,
  enqueue: Operation,
  lives: ReadonlyMap<string, readonly TaskHistory[]>,
  context: CheckContext,
): void {
  const existingId = enqueue.answer?.args?.existingId;
  if (existingId === undefined || existingId === task.id) return;
  // The id may have been used more than once; any of those tasks may have had the key.
  const existing = lives.get(existingId) ?? [];
  if (existing.some((life) => life.unclear)) return;
  context.saw('H15');
  const owners = existing.filter((life) =>
    life.enqueues.some(
      (each) =>
        each.key === enqueue.key && each.queue === enqueue.queue && each.invoke < enqueue.return && mayHaveTaken(each),
    ),
  );
  const [owner] = owners;
  if (owner === undefined) {
    context.fail('H15', task, [{ what: enqueue, wrong: `${existingId} does not have that key` }]);
  } else if (owners.every((life) => hasLetGoAt(life) < enqueue.invoke)) {
    const taken = acceptedEnqueue(owner);
    const end = owner.settles.find((settle) => isEnding(settle) && took(settle));
    context.fail('H15', task, [
      ...(taken === undefined ? [] : [{ what: taken }]),
      ...(end === undefined ? [] : [{ what: end }]),
      { what: enqueue, wrong: 'the key was free again' },
    ]);
  }
}

/** How long the task holds its key. An id may have been refused with other content before it was accepted. */
function keyUntil(task: TaskHistory): string {
  return acceptedEnqueue(task)?.args.keyUntil ?? 'settled';
}

function mayLetGoAt(task: TaskHistory, context: CheckContext): number {
  const enqueue = acceptedEnqueue(task);
  if (enqueue === undefined) return Number.NEGATIVE_INFINITY;
  // A call may have begun before the task was there, and met it.
  const invoked = (operations: readonly Operation[]): number[] =>
    operations
      .filter((operation) => operation.return >= enqueue.invoke && mayHaveTaken(operation))
      .map((operation) => Math.max(operation.invoke, enqueue.invoke));
  const { hiddenClaims, queueControls } = context.timeline;
  const times = [
    ...invoked(task.settles),
    ...invoked(task.controls.filter(({ op }) => op === 'cancel' || op === 'remove')),
    ...invoked(queueControls.filter(({ op, queue }) => op === 'queuePurge' && queue === enqueue.queue)),
    // Replaced content has its own rule for the key.
    ...invoked(task.replacements),
  ];
  if (keyUntil(task) === 'started') {
    times.push(...invoked(task.claims), ...invoked(hiddenClaims));
  }
  const { expiresInMs } = enqueue.args;
  if (expiresInMs !== undefined) times.push(enqueue.invoke + expiresInMs * 1_000);
  // Whoever runs the last attempt may be lost, and the task dead, at any time from then on.
  for (const claim of task.claims) {
    if (claim.attempt >= (claim.answer?.args?.maxAttempts ?? Number.POSITIVE_INFINITY)) times.push(claim.invoke);
  }
  return Math.min(Number.POSITIVE_INFINITY, ...times);
}

function hasLetGoAt(task: TaskHistory): number {
  // A rerun takes the key again, and a replacement may change how long it is held.
  if (task.replacements.length > 0 || acceptedEnqueue(task) === undefined) return Number.POSITIVE_INFINITY;
  if (task.controls.some((control) => control.op === 'rerun' && mayHaveTaken(control))) return Number.POSITIVE_INFINITY;
  const times = [
    ...task.settles.filter((settle) => isEnding(settle) && settle.outcome === 'applied').map((settle) => settle.return),
    ...task.controls
      .filter((control) => ['cancel', 'remove'].includes(control.op) && control.outcome === 'applied')
      .map((control) => control.return),
  ];
  if (keyUntil(task) === 'started') times.push(...task.claims.map((claim) => claim.return));
  return Math.min(Number.POSITIVE_INFINITY, ...times);
}
