import { Heap } from './heap.ts';
import type { StoredTask } from './stored-task.ts';

/** Claimable tasks of one name in one queue. Claims ask by name, so that tasks nobody can run are never stepped over. */
interface Lane {
  readonly due: Heap<StoredTask>;
  readonly ahead: Heap<StoredTask>;
}

interface QueueLanes {
  readonly byName: Map<string, Lane>;
  /** When the queue was last taken from; a count of takes, not a time. */
  served: number;
}

function isDueEarlier(first: StoredTask, second: StoredTask): boolean {
  return first.runAt === second.runAt ? first.sequence < second.sequence : first.runAt < second.runAt;
}

function runsEarlier(first: StoredTask, second: StoredTask): boolean {
  return first.priority === second.priority ? isDueEarlier(first, second) : first.priority > second.priority;
}

/**
 * Decides which task is claimed next. Within a queue: higher priority first, then the earlier due time, then the
 * order of creation. Between queues: higher priority first, then the queue that has waited longest for its turn, so
 * that a long queue does not starve a short one (ORD-09).
 */
export class ClaimOrder {
  readonly #queues = new Map<string, QueueLanes>();
  #takes = 0;

  add(task: StoredTask): void {
    const queue = this.#queues.get(task.queue) ?? { byName: new Map<string, Lane>(), served: 0 };
    const lane = queue.byName.get(task.name) ?? { due: new Heap(runsEarlier), ahead: new Heap(isDueEarlier) };
    this.#queues.set(task.queue, queue);
    queue.byName.set(task.name, lane);
    lane.ahead.add(task);
  }

  delete(task: StoredTask): void {
    const queue = this.#queues.get(task.queue);
    const lane = queue?.byName.get(task.name);
    if (queue === undefined || lane === undefined) return;
    if (!lane.due.delete(task)) lane.ahead.delete(task);
    // The queue itself stays known: forgetting its turn would let a queue that refills itself go first for ever.
    if (lane.due.size === 0 && lane.ahead.size === 0) queue.byName.delete(task.name);
  }

  /** Takes out the next due task of these queues and names. */
  take(queues: readonly string[], names: readonly string[], now: number): StoredTask | undefined {
    const next = this.#next(queues, names, now);
    if (next === undefined) return undefined;
    next.queue.served = ++this.#takes;
    this.delete(next.task);
    return next.task;
  }

  /** Whether there is a due task of these queues and names. */
  hasDue(queues: readonly string[], names: readonly string[], now: number): boolean {
    return this.#next(queues, names, now) !== undefined;
  }

  #next(
    queues: readonly string[],
    names: readonly string[],
    now: number,
  ): { readonly task: StoredTask; readonly queue: QueueLanes } | undefined {
    let best: StoredTask | undefined;
    let bestQueue: QueueLanes | undefined;
    for (const name of queues) {
      const queue = this.#queues.get(name);
      const head = queue === undefined ? undefined : firstOf(queue, names, now);
      if (queue === undefined || head === undefined) continue;
      const first =
        best === undefined ||
        bestQueue === undefined ||
        head.priority > best.priority ||
        (head.priority === best.priority && queue.served < bestQueue.served);
      if (first) {
        best = head;
        bestQueue = queue;
      }
    }
    return best === undefined || bestQueue === undefined ? undefined : { task: best, queue: bestQueue };
  }

  /** When the next task of these queues and names becomes due, if none is now. */
  nextDueAt(queues: readonly string[], names: readonly string[]): number | undefined {
    let next: number | undefined;
    for (const queue of queues) {
      const byName = this.#queues.get(queue)?.byName;
      if (byName === undefined) continue;
      for (const name of names) {
        const at = byName.get(name)?.ahead.peek()?.runAt;
        if (at !== undefined && (next === undefined || at < next)) next = at;
      }
    }
    return next;
  }
}

function firstOf(queue: QueueLanes, names: readonly string[], now: number): StoredTask | undefined {
  let first: StoredTask | undefined;
  for (const name of names) {
    const lane = queue.byName.get(name);
    if (lane === undefined) continue;
    promote(lane, now);
    const head = lane.due.peek();
    if (head !== undefined && (first === undefined || runsEarlier(head, first))) first = head;
  }
  return first;
}

/** Moves what has become due; each task moves once, so this costs a claim O(log n) on average. */
function promote(lane: Lane, now: number): void {
  for (let next = lane.ahead.peek(); next !== undefined && next.runAt <= now; next = lane.ahead.peek()) {
    lane.ahead.delete(next);
    lane.due.add(next);
  }
}
