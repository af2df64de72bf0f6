import { checkKnownOptions } from '../known-options.ts';
import type { ShutdownReport } from './shutdown.ts';

/** Something that can be stopped, such as a worker. */
export interface Stoppable {
  stop(options?: { readonly force?: boolean }): Promise<ShutdownReport>;
}

/** How signals are taken. */
export interface StopOnSignalsOptions {
  /** Default SIGTERM and SIGINT. */
  readonly signals?: readonly NodeJS.Signals[];
  /** Called when everything has stopped. The process then ends by itself if nothing else keeps it. */
  readonly onStopped?: (report: ShutdownReport) => void;
}

/**
 * Stops workers when the process is told to end: the first signal starts a graceful stop, the second one forces it.
 * Offered, not imposed: call it, or wire signals yourself. Returns a function that takes the listeners off again.
 */
export function stopOnSignals(
  workers: Stoppable | readonly Stoppable[],
  options: StopOnSignalsOptions = {},
): () => void {
  checkKnownOptions(options, ['signals', 'onStopped'], 'stopOnSignals');
  const all = 'stop' in workers ? [workers] : workers;
  const signals = options.signals ?? ['SIGTERM', 'SIGINT'];
  let stopped: Promise<void> | undefined;

  const off = (): void => {
    for (const signal of signals) process.off(signal, onSignal);
  };
  function onSignal(): void {
    const force = stopped !== undefined;
    // A worker that cannot stop must not keep the others from being waited for, nor end the process in the middle.
    const reports = Promise.all(all.map((worker) => worker.stop({ force }).catch(() => nothing)));
    stopped ??= reports.then((list) => {
      off();
      options.onStopped?.(list.reduce(addReports, nothing));
    });
  }
  for (const signal of signals) process.on(signal, onSignal);
  return off;
}

const nothing: ShutdownReport = { drained: 0, released: 0, unconfirmed: 0, abandoned: 0 };

function addReports(sum: ShutdownReport, report: ShutdownReport): ShutdownReport {
  return {
    drained: sum.drained + report.drained,
    released: sum.released + report.released,
    unconfirmed: sum.unconfirmed + report.unconfirmed,
    abandoned: sum.abandoned + report.abandoned,
  };
}
