import { shown } from '../context/checks.ts';
import type { ScenarioContext } from '../context/scenario-context.ts';

/**
 * Runs a scenario and fails it when an error reached nobody meanwhile: a rejection without a handler, an `error` event
 * without a listener. Outside of a test each of them ends the process of a user (T18).
 */
export async function withoutStrayErrors(t: ScenarioContext, run: () => Promise<void>): Promise<void> {
  const strays: string[] = [];
  const note = (error: unknown): void => {
    strays.push(error instanceof Error ? (error.stack ?? shown(error)) : shown(error));
  };
  process.on('unhandledRejection', note);
  process.on('uncaughtException', note);
  try {
    await run();
    // A rejection counts as unhandled once the microtasks of its turn are over.
    await new Promise<void>((resolve) => setImmediate(resolve));
    t.equal(strays, [], 'errors that reached nobody');
  } finally {
    process.off('unhandledRejection', note);
    process.off('uncaughtException', note);
  }
}
