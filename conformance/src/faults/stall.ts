/**
 * Blocks the event loop: no timer fires, no answer is read, no heartbeat is sent. It sleeps instead of computing, so
 * that other processes of a small machine are not slowed.
 */
export function blockEventLoop(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

/** Takes memory until the process dies of it. Start it with a small `--max-old-space-size`, or it takes a while. */
export function exhaustHeap(): never {
  const taken: number[][] = [];
  // Boxed numbers: typed arrays live outside of the heap that is limited.
  for (;;) taken.push(Array.from({ length: 10_000 }, () => Math.random()));
}
