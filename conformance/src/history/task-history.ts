import type { HistoryEvent } from './event.ts';
import type { Operation } from './operation.ts';

// One shared empty list: most tasks have most lists empty, and there may be a million tasks. Never written to.
const none: never[] = [];

/**
 * Everything recorded about one task; about one life of it, when its id was used again after it was removed.
 * Lists are in the order of invocation, deliveries in the order of their return.
 */
export class TaskHistory {
  readonly id: string;
  enqueues: Operation[] = none;
  /** Enqueues of other ids that gave this task new content by its unique key. */
  replacements: Operation[] = none;
  claims: Operation[] = none;
  settles: Operation[] = none;
  reports: Operation[] = none;
  controls: Operation[] = none;
  reads: Operation[] = none;
  /** Handler runs, signals, effects, events of the stream. */
  marks: HistoryEvent[] = none;
  final: HistoryEvent | undefined;
  /** Whether this is the life that ended with another one under the same id. */
  succeeded = false;
  /** Whether it cannot be told which of its calls were about which life. */
  unclear = false;

  constructor(id: string) {
    this.id = id;
  }
}

/** Adds to a list that may be the shared empty one. Short lists are kept exactly as long as they are. */
export function push<T>(list: T[], item: T): T[] {
  if (list.length === 0) return [item];
  if (list.length < 3) return [...list, item];
  list.push(item);
  return list;
}
