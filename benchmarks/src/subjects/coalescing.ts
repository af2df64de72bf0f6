interface Waiting {
  readonly payload: string;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Single enqueues that meet while a flush is under way travel together: at most `limit` in each of `inFlight` calls. */
export function coalescing(
  insert: (payloads: readonly string[]) => Promise<unknown>,
  { inFlight: most, limit }: { readonly inFlight: number; readonly limit: number },
): (payload: string) => Promise<void> {
  const waiting: Waiting[] = [];
  let inFlight = 0;

  function flush(): void {
    if (waiting.length === 0 || inFlight === most) return;
    const batch = waiting.splice(0, limit);
    inFlight += 1;
    insert(batch.map((entry) => entry.payload))
      .then(
        () => {
          for (const entry of batch) entry.resolve();
        },
        (error: unknown) => {
          for (const entry of batch) entry.reject(error);
        },
      )
      .finally(() => {
        inFlight -= 1;
        flush();
      });
  }

  return (payload) =>
    new Promise<void>((resolve, reject) => {
      waiting.push({ payload, resolve, reject });
      if (waiting.length === 1) queueMicrotask(flush);
    });
}
