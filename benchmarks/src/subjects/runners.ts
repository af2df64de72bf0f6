/** `concurrency` runners share the tasks of a batch. */
export async function runAll<T>(
  tasks: readonly T[],
  concurrency: number,
  runTask: (task: T) => Promise<void>,
): Promise<void> {
  let next = 0;
  const runner = async (): Promise<void> => {
    for (let task = tasks[next++]; task !== undefined; task = tasks[next++]) await runTask(task);
  };
  await Promise.all(Array.from({ length: Math.min(concurrency, tasks.length) }, runner));
}

/** Runs `loops` loops until `stop`, which waits for them and then calls `close`. */
export function keepRunning(
  loops: number,
  loop: (running: () => boolean) => Promise<void>,
  close: () => Promise<unknown>,
): { stop(): Promise<void> } {
  let running = true;
  const ends = Array.from({ length: loops }, () => loop(() => running));
  return {
    stop: async () => {
      running = false;
      await Promise.all(ends);
      await close();
    },
  };
}

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** For errors after which a worker gets no more tasks: the run fails now, not when its time is up. */
export function endRun(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}
