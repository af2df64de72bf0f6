import { IndeterminateError, isMillraceError, type MillraceError } from '../errors.ts';

/**
 * Waits for every part of a call, whatever becomes of the others: once the call has failed, nothing more of it happens.
 * @throws what a part threw that may have been carried out, else what the first one threw
 */
export async function allParts(parts: readonly Promise<unknown>[]): Promise<void> {
  const failures: unknown[] = [];
  for (const result of await Promise.allSettled(parts)) if (result.status === 'rejected') failures.push(result.reason);
  if (failures.length > 0) throw failures.find((error) => isMillraceError(error, 'INDETERMINATE')) ?? failures[0];
}

const refusals: ReadonlySet<string> = new Set(['UNAVAILABLE', 'BACKPRESSURE', 'CONFIGURATION']);

/** Whether an error says that what was asked for was not carried out. */
export function isRefusal(error: unknown): error is MillraceError {
  return isMillraceError(error) && refusals.has(error.code);
}

/**
 * What a call of several parts throws when one of them failed after another was carried out. Each part was right to say
 * that it was not; the call as a whole would be wrong.
 */
export function doneInPart(error: unknown, op: string): unknown {
  if (!isRefusal(error)) return error;
  const { adapter, message } = error;
  return new IndeterminateError(`${op}: a part of it was carried out; then: ${message}`, {
    op,
    ...(adapter !== undefined && { adapter }),
    reason: 'in-part',
    cause: error,
  });
}
