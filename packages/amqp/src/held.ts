import type { Lease } from '@millrace/core';
import type { Line } from './line.ts';
import type { TaskMessage } from './message.ts';

/** A delivered message whose task runs, or may run, here. */
export interface Held {
  readonly line: Line;
  /** Of the delivery that holds it; another one after a renewal. */
  tag: number;
  /** When that delivery came, monotonic milliseconds. */
  since: number;
  readonly message: TaskMessage;
  readonly lease: Lease;
  /** A settle of it is under way. */
  settling: boolean;
  /** A renewal of its delivery is under way. */
  renewing?: Promise<void> | undefined;
}

/** Acknowledges per queue. Whether each is known to be acknowledged, in order. */
export async function acknowledgeAll(all: readonly Held[]): Promise<boolean[]> {
  const [first] = all;
  if (first === undefined) return [];
  if (all.every(({ line }) => line === first.line)) {
    const done = await first.line.acknowledge(all.map(({ tag }) => tag));
    return all.map(() => done);
  }
  const byLine = new Map<Line, Held[]>();
  for (const held of all) {
    const mine = byLine.get(held.line);
    if (mine === undefined) byLine.set(held.line, [held]);
    else mine.push(held);
  }
  const done = new Set<Held>();
  await Promise.all(
    [...byLine].map(async ([line, mine]) => {
      if (await line.acknowledge(mine.map(({ tag }) => tag))) for (const held of mine) done.add(held);
    }),
  );
  return all.map((held) => done.has(held));
}
