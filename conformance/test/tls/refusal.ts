import assert from 'node:assert/strict';
import { type Broker, isMillraceError, type MillraceError } from '@millrace/core';

/**
 * Opens a broker that cannot be, and closes it.
 * @returns what it was refused with
 * @throws AssertionError when it opens, takes longer than `withinMs`, throws anything that is not an error of ours, or
 * when an error reached nobody meanwhile
 */
export async function refusalOf(broker: Broker<unknown>, withinMs: number): Promise<MillraceError> {
  const strays: unknown[] = [];
  const note = (error: unknown): void => void strays.push(error);
  process.on('unhandledRejection', note);
  process.on('uncaughtException', note);
  try {
    const start = performance.now();
    const thrown: unknown = await broker.open().then(
      () => undefined,
      (error: unknown) => error,
    );
    await broker.close();
    const elapsedMs = performance.now() - start;
    // A rejection counts as unhandled once the microtasks of its turn are over.
    await new Promise<void>((resolve) => setImmediate(resolve));
    assert.deepEqual(strays, [], 'errors that reached nobody');
    assert.notEqual(thrown, undefined, 'it opened');
    assert.ok(isMillraceError(thrown), `not an error of ours: ${String(thrown)}`);
    assert.ok(elapsedMs < withinMs, `took ${Math.round(elapsedMs)} ms`);
    return thrown;
  } finally {
    process.off('unhandledRejection', note);
    process.off('uncaughtException', note);
  }
}
