import { Underway } from '@millrace/core/adapter';

/** What to call when a session is lost. */
const waiters = new WeakMap<AbortSignal, Underway<() => void>>();

/**
 * Settles like `work`, or rejects as soon as the session is lost: nobody waits for a server on its behalf then. One
 * listener hears it for all, since a listener that was removed goes on pointing at the next.
 */
export function orLost<T>(work: Promise<T>, lost: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onLost = (): void => reject(lost.reason);
    const others = waitersOf(lost);
    others.add(onLost);
    work
      .then(resolve, reject)
      .finally(() => others.delete(onLost))
      .catch(() => {});
    if (lost.aborted) onLost();
  });
}

function waitersOf(lost: AbortSignal): Underway<() => void> {
  const known = waiters.get(lost);
  if (known !== undefined) return known;
  const made = new Underway<() => void>();
  waiters.set(lost, made);
  const tell = (): void => {
    for (const onLost of made) onLost();
  };
  lost.addEventListener('abort', tell, { once: true });
  return made;
}
