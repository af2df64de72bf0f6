import { IndeterminateError } from '@millrace/core';
import type { StoreSettings } from './options.ts';

/**
 * Asks, right behind a write on its connection, for the copies that were wanted. The write itself has been applied by
 * then, so too few are an `IndeterminateError`: it may yet be lost with this server.
 * @throws IndeterminateError
 */
export async function checkDurable(
  { replicas, disk }: Pick<StoreSettings, 'replicas' | 'disk'>,
  op: string,
  timeoutMs: number,
  send: (name: string, args: readonly string[]) => Promise<unknown>,
): Promise<void> {
  // A little before the deadline of the call, so that the answer still arrives.
  const waitMs = String(Math.max(1, Math.floor(timeoutMs * 0.8)));
  if (disk) {
    const answer = (await send('waitaof', ['1', String(replicas), waitMs])) as unknown[];
    const [local, remote] = answer.map(Number);
    if ((local ?? 0) >= 1 && (remote ?? 0) >= replicas) return;
    throw tooFew(op, `it is on ${local} disks here and on those of ${remote} replicas`);
  }
  const reached = Number(await send('wait', [String(replicas), waitMs]));
  if (reached < replicas) throw tooFew(op, `${reached} of ${replicas} replicas have it`);
}

function tooFew(op: string, what: string): IndeterminateError {
  return new IndeterminateError(`${op}: applied, but ${what} in time; it may be lost with the server`, {
    op,
    adapter: 'redis',
    reason: 'too-few-copies',
  });
}
