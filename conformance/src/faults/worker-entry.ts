import {
  type Broker,
  createWorker,
  custom,
  defineTask,
  handle,
  isMillraceError,
  type Logger,
  type Middleware,
  type ShutdownReport,
  silentLogger,
  stopOnSignals,
  systemClock,
  type Worker,
} from '@millrace/core';
import { buildTask, usual } from '../context/builders.ts';
import type { Target } from '../harness.ts';
import { fileJournal } from '../history/journal.ts';
import { recordBroker } from '../history/recorded-broker.ts';
import { Recorder as HistoryRecorder, monotonicMicroseconds } from '../history/recorder.ts';
import { watchStalls } from '../history/stall-watch.ts';
import { jumpClock } from './clock-skew.ts';
import { blockEventLoop, exhaustHeap } from './stall.ts';
import { openJournal, type Recorder } from './worker-journal.ts';
import type {
  ProduceCommand,
  WorkerArgument,
  WorkerCommand,
  WorkerCounts,
  WorkerProcessOptions,
  WorkerReply,
} from './worker-protocol.ts';
import { runScript } from './worker-script.ts';

/**
 * The whole of a harness's worker module: opens a broker and works until it is stopped, frozen or killed. Started by
 * `startWorkerProcess`, which says in the first argument where to work and how.
 *
 * @example
 * // test/worker.ts
 * import { runConformanceWorker } from '@millrace/conformance/worker';
 * await runConformanceWorker((target) => harness.connect(target));
 */
export async function runConformanceWorker(makeBroker: (target: Target) => Broker<unknown>): Promise<void> {
  const { url, namespace, options, journal, history } = JSON.parse(process.argv[2] ?? '{}') as WorkerArgument;
  const counted = countEvents(openJournal(journal).record);
  // Its parent has ended without saying so: nobody is left who would stop it.
  const orphaned = (): void => process.exit(1);
  process.once('disconnect', orphaned);
  try {
    const opened = makeBroker({ url, namespace, clock: systemClock });
    await opened.open();
    const lines = fileJournal(history);
    const recorder = new HistoryRecorder({ journals: [lines] });
    const role = `process ${process.pid}`;
    watchStalls(monotonicMicroseconds, (event) => lines.append(event), process.pid);
    const broker = recordBroker(opened, recorder, role);
    const middleware = recorder.handlers(role);
    const worker = options.claims === false ? undefined : hireHere(broker, middleware, options, counted.record);
    await worker?.start();
    const leave = async (report?: ShutdownReport): Promise<void> => {
      await broker.close();
      if (report !== undefined) counted.record({ event: 'stopped', ...report });
      reply({ type: 'stopped' });
      process.off('disconnect', orphaned);
      // From here on nothing of ours keeps the process: whatever does is a leak, and shows.
      if (process.connected) process.disconnect();
    };
    if (worker !== undefined) stopOnSignals(worker, { onStopped: (report) => void leave(report) });
    process.on('message', (command: WorkerCommand) => {
      if (command.type === 'stop') void stop(worker, command.force).then(leave);
      else if (command.type === 'produce') void produce(broker, command, counted.record);
      else if (command.type === 'counts') reply({ type: 'counts', counts: counted.counts(worker?.running ?? 0) });
      else if (command.type === 'stall') blockEventLoop(command.ms);
      else if (command.type === 'jump-clock') jumpClock(command.ms);
      else exhaustHeap();
    });
    counted.record({ event: 'ready', instance: worker?.instance ?? 'producer' });
    reply({ type: 'ready' });
  } catch (error) {
    reply({ type: 'failed', message: error instanceof Error ? `${error.name}: ${error.message}` : String(error) });
    throw error;
  }
}

function reply(message: WorkerReply): void {
  // A parent that has gone wants no answer.
  process.send?.(message, undefined, {}, () => {});
}

function stop(worker: Worker | undefined, force: boolean): Promise<ShutdownReport | undefined> {
  return worker === undefined ? Promise.resolve(undefined) : worker.stop({ force });
}

function hireHere(
  broker: Broker<unknown>,
  middleware: Middleware,
  options: WorkerProcessOptions,
  record: Recorder,
): Worker {
  const definition = defineTask({ ...usual, retry: custom(() => options.retryMs ?? 0) });
  const { concurrency, prefetch, sessionTtlMs, maintenanceMs, drainMs, graceMs, instance, heartbeatThread } = options;
  return createWorker({
    broker,
    handlers: [handle(definition, (input, context) => runScript(input, context, record))],
    logger: journalLogger(record),
    middleware: [middleware],
    ...(instance !== undefined && { instance }),
    ...(concurrency !== undefined && { concurrency }),
    ...(prefetch !== undefined && { prefetch }),
    ...(sessionTtlMs !== undefined && { sessionTtl: sessionTtlMs }),
    ...(maintenanceMs !== undefined && { maintenance: maintenanceMs }),
    ...(drainMs !== undefined && { drain: drainMs }),
    ...(graceMs !== undefined && { grace: graceMs }),
    ...(heartbeatThread !== undefined && { heartbeatThread }),
  });
}

function journalLogger(record: Recorder): Logger {
  const method =
    (level: 'warn' | 'error'): Logger['warn'] =>
    (first: Readonly<Record<string, unknown>> | string, message?: string) => {
      const fields = typeof first === 'string' ? {} : first;
      const { taskId } = fields;
      const task = typeof taskId === 'string' ? { task: taskId } : {};
      record({ event: 'log', level, message: message ?? String(first), ...task });
    };
  return { ...silentLogger, warn: method('warn'), error: method('error') };
}

function countEvents(noted: Recorder): { readonly record: Recorder; counts(running: number): WorkerCounts } {
  const counts = { started: 0, returned: 0, threw: 0, aborted: 0 };
  return {
    record: (event) => {
      if (event.event === 'start') counts.started += 1;
      else if (event.event === 'abort') counts.aborted += 1;
      else if (event.event === 'end') counts[event.how] += 1;
      noted(event);
    },
    counts: (running) => ({ ...counts, running }),
  };
}

/** Enqueues until everything is accepted. Its ids make repeating safe, so an outcome that was lost is asked for again. */
async function produce(broker: Broker<unknown>, command: ProduceCommand, record: Recorder): Promise<void> {
  const { prefix, count, batch, script } = command;
  for (let first = 1; first <= count; first += batch) {
    const ids = Array.from(
      { length: Math.min(batch, count - first + 1) },
      (_unused, index) => `${prefix}${first + index}`,
    );
    const tasks = ids.map((id) => buildTask({ id, input: JSON.stringify(script), maxAttempts: 20 }));
    for (;;) {
      try {
        const outcomes = await broker.enqueue(tasks);
        record({ event: 'enqueued', tasks: ids, outcomes: outcomes.map((outcome) => outcome.status) });
        break;
      } catch (error) {
        if (!isMillraceError(error) || error.retryable === 'no') throw error;
      }
    }
  }
}
