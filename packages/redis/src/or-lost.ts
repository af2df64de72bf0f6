/** Settles like `work`, or rejects as soon as the session is lost: nobody waits for a server on its behalf then. */
export function orLost<T>(work: Promise<T>, lost: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onLost = (): void => reject(lost.reason);
    lost.addEventListener('abort', onLost, { once: true });
    work
      .then(resolve, reject)
      .finally(() => lost.removeEventListener('abort', onLost))
      .catch(() => {});
    if (lost.aborted) onLost();
  });
}
