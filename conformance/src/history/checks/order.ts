import type { CheckContext } from '../check-context.ts';
import type { Operation } from '../operation.ts';
import { acceptedEnqueue } from '../task-facts.ts';
import type { TaskHistory } from '../task-history.ts';

/** A task whose place in the line is known: nobody moved, stopped or replaced it. */
interface Placed {
  readonly task: TaskHistory;
  readonly enqueue: Operation;
  /** Bounds of the instant at which it fell due. */
  readonly dueFrom: number;
  readonly dueTo: number;
  readonly priority: number;
  /** Its first delivery, if there was one. */
  readonly claim: Operation | undefined;
}

/** H17 and H18: what a single consumer of a queue is given, in which order. */
export function checkOrder(context: CheckContext): void {
  const { order, priority } = context.options.capabilities;
  if (order !== 'fifo' && !priority.strict) return;
  for (const tasks of placedByLine(context).values()) {
    const roles = new Set(tasks.flatMap(({ task }) => task.claims.map((claim) => `${claim.pid} ${claim.role}`)));
    if (roles.size === 0) continue;
    // Whoever names the tasks it wants chooses their order.
    if (tasks.some(({ task }) => task.claims.some((claim) => claim.args.byId === true))) {
      context.undecided('H17', 'tasks of a queue were asked for by their ids');
      context.undecided('H18', 'tasks of a queue were asked for by their ids');
      continue;
    }
    if (roles.size > 1 || context.timeline.hiddenClaims.length > 0) {
      context.undecided('H17', 'a queue had more than one consumer');
      context.undecided('H18', 'a queue had more than one consumer');
      continue;
    }
    checkLine(tasks, context);
  }
}

/** Tasks by queue and name: a claim may ask for some names only. */
function placedByLine(context: CheckContext): Map<string, Placed[]> {
  const lines = new Map<string, Placed[]>();
  for (const task of context.timeline.tasks) {
    if (task.unclear) continue;
    const enqueue = acceptedEnqueue(task);
    if (enqueue === undefined || task.controls.length > 0 || task.replacements.length > 0) continue;
    const { args } = enqueue;
    if (args.expiresInMs !== undefined || args.absolute === true || args.tx !== undefined) continue;
    const delay = (args.delayMs ?? 0) * 1_000;
    const slack = delay > 0 ? context.precision : 0;
    const placed = {
      task,
      enqueue,
      dueFrom: enqueue.invoke + delay - slack,
      dueTo: enqueue.return + delay + slack,
      priority: args.priority ?? 0,
      claim: task.claims[0],
    };
    const line = `${enqueue.queue}\0${args.name}`;
    const list = lines.get(line);
    if (list === undefined) lines.set(line, [placed]);
    else list.push(placed);
  }
  return lines;
}

/**
 * From the last delivery back to the first: of the tasks delivered later, or never, the one with the highest claim to
 * have come first is kept for each priority. One pass, however long the line.
 */
function checkLine(tasks: readonly Placed[], context: CheckContext): void {
  const { order, priority } = context.options.capabilities;
  if (order === 'fifo') checkBatches(tasks, context);
  const waiting = new Map<number, Placed>();
  const keep = (placed: Placed): void => {
    const best = waiting.get(placed.priority);
    if (best === undefined || placed.dueTo < best.dueTo) waiting.set(placed.priority, placed);
  };
  // One that was never delivered waits to the end only if it is still there; it may have been purged.
  for (const placed of tasks) if (placed.claim === undefined && isStillWaiting(placed)) keep(placed);
  const delivered = tasks
    .filter((placed) => placed.claim !== undefined)
    .sort((a, b) => claimOf(b).return - claimOf(a).return);
  for (let start = 0; start < delivered.length; ) {
    // Deliveries of one claim have no order among themselves.
    let end = start;
    const { seq, pid } = claimOf(delivered[start] as Placed);
    for (; end < delivered.length; end++) {
      const claim = claimOf(delivered[end] as Placed);
      if (claim.seq !== seq || claim.pid !== pid) break;
    }
    const batch = delivered.slice(start, end);
    for (const placed of batch) {
      if (order === 'fifo') checkFifo(placed, waiting.get(placed.priority), context);
      if (priority.strict) checkPriority(placed, waiting, context);
    }
    for (const placed of batch) keep(placed);
    start = end;
  }
}

/** Tasks of one batch fell due at one instant; their order is that of the batch (ORD-03). */
function checkBatches(tasks: readonly Placed[], context: CheckContext): void {
  const lastOf = new Map<string, Placed>();
  for (const placed of tasks) {
    const { pid, seq, args } = placed.enqueue;
    const mates = `${pid} ${args.batch ?? seq} ${placed.priority} ${args.delayMs ?? 0}`;
    const before = lastOf.get(mates);
    lastOf.set(mates, placed);
    const { claim } = placed;
    if (before === undefined || claim === undefined) continue;
    context.saw('H17');
    const first = before.claim;
    if (first !== undefined && (first.return <= claim.return || first.seq === claim.seq)) continue;
    if (!isVisible(before, claim)) continue;
    context.fail('H17', placed.task, [
      { what: before.enqueue },
      { what: placed.enqueue },
      { what: claim, wrong: `${before.task.id} was before it in the batch` },
      ...(first === undefined ? [] : [{ what: first }]),
    ]);
  }
}

function isStillWaiting({ task }: Placed): boolean {
  const state = task.final?.args?.state;
  return state === 'pending' || state === 'retrying';
}

function claimOf(placed: Placed): Operation {
  return placed.claim as Operation;
}

function isVisible(waiting: Placed, claim: Operation): boolean {
  return waiting.dueTo <= claim.invoke && waiting.enqueue.return <= claim.invoke;
}

function checkFifo(placed: Placed, waiting: Placed | undefined, context: CheckContext): void {
  context.saw('H17');
  const claim = claimOf(placed);
  if (waiting === undefined || waiting.dueTo >= placed.dueFrom || !isVisible(waiting, claim)) return;
  context.fail('H17', placed.task, [
    { what: waiting.enqueue },
    { what: placed.enqueue },
    { what: claim, wrong: `${waiting.task.id} was due before it` },
    ...(waiting.claim === undefined ? [] : [{ what: waiting.claim }]),
  ]);
}

function checkPriority(placed: Placed, waiting: ReadonlyMap<number, Placed>, context: CheckContext): void {
  context.saw('H18');
  const claim = claimOf(placed);
  for (const [level, other] of waiting) {
    if (level <= placed.priority || !isVisible(other, claim)) continue;
    context.fail('H18', placed.task, [
      { what: other.enqueue },
      { what: claim, wrong: `${other.task.id} has priority ${level} and was waiting` },
    ]);
    return;
  }
}
