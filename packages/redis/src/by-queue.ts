/** Indexes by the queue of what they stand for, in order; without those that have none. Neighbours mostly share theirs. */
export function groupByQueue(
  indexes: Iterable<number>,
  queueOf: (index: number) => string | undefined,
): ReadonlyMap<string, readonly number[]> {
  const groups = new Map<string, number[]>();
  let lastQueue: string | undefined;
  let mine: number[] = [];
  for (const index of indexes) {
    const queue = queueOf(index);
    if (queue === undefined) continue;
    if (queue !== lastQueue) {
      mine = groups.get(queue) ?? [];
      groups.set(queue, mine);
      lastQueue = queue;
    }
    mine.push(index);
  }
  return groups;
}
