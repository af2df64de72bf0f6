import { NonRetryable, RetryAfter, Snooze, type TaskContext } from '@millrace/core';
import { blockEventLoop, exhaustHeap } from './stall.ts';
import type { Recorder } from './worker-journal.ts';

/**
 * One step of a handler. Scripts travel as the input of tasks, so one worker program serves all scenarios, and payloads
 * are tested all the time.
 */
export type Step =
  /** Waits; ends early, throwing the reason, when the run should stop. */
  | readonly ['sleep', ms: number]
  /** Waits whatever happens: a handler that does not listen. */
  | readonly ['sleep-deaf', ms: number]
  /** Blocks the event loop. */
  | readonly ['busy', ms: number]
  /** Waits until the run should stop, then throws the reason. */
  | readonly ['await-abort']
  | readonly ['progress', value: unknown]
  | readonly ['checkpoint', value: unknown]
  | readonly ['throw', message: string]
  | readonly ['give-up', message: string]
  | readonly ['retry-after', ms: number]
  | readonly ['snooze', ms: number]
  /** Ends the process: by itself, or by a signal. */
  | readonly ['exit', code: number]
  | readonly ['kill', signal: NodeJS.Signals]
  /** Takes memory until the process dies. */
  | readonly ['exhaust-heap']
  /** Throws outside of any handler, from a timer. */
  | readonly ['throw-in-timer', message: string]
  /** Leaves a rejection that nobody handles. */
  | readonly ['reject-unhandled', message: string]
  /** The steps, on this attempt only. */
  | readonly ['on-attempt', attempt: number, steps: Script]
  /** Ends the handler with this result. */
  | readonly ['return', value: unknown]
  /** Notes the end of the handler, then kills the process before the result can leave it. */
  | readonly ['return-and-kill', signal: NodeJS.Signals];

/** Steps, run one after the other. Without a `return` the result is absent. */
export type Script = readonly Step[];

/** What a script ended with. */
interface Returned {
  readonly value: unknown;
  readonly dies?: NodeJS.Signals;
}

/** Runs the script in a task's input, and notes start, abort and end. */
export async function runScript(input: unknown, context: TaskContext, record: Recorder): Promise<unknown> {
  const run = { task: context.id, attempt: context.attempt, fence: context.fence };
  record({ event: 'start', ...run });
  const onAbort = (): void => {
    const { code, why } = context.signal.reason as { code?: string; why?: string };
    record({ event: 'abort', ...run, ...(code !== undefined && { code }), ...(why !== undefined && { why }) });
  };
  context.signal.addEventListener('abort', onAbort, { once: true });
  let returned: Returned | undefined;
  try {
    returned = await runSteps(input as Script, context);
  } catch (error) {
    record({ event: 'end', ...run, how: 'threw', error: error instanceof Error ? error.message : String(error) });
    throw error;
  }
  record({ event: 'end', ...run, how: 'returned' });
  if (returned?.dies !== undefined) process.kill(process.pid, returned.dies);
  return returned?.value;
}

async function runSteps(script: Script, context: TaskContext): Promise<Returned | undefined> {
  for (const step of script) {
    const returned = await runStep(step, context);
    if (returned !== undefined) return returned;
  }
  return undefined;
}

async function runStep(step: Step, context: TaskContext): Promise<Returned | undefined> {
  switch (step[0]) {
    case 'sleep':
      await sleep(step[1], context.signal);
      break;
    case 'sleep-deaf':
      await sleep(step[1]);
      break;
    case 'busy':
      blockEventLoop(step[1]);
      break;
    case 'await-abort':
      await sleep(undefined, context.signal);
      break;
    case 'progress':
      context.progress(step[1]);
      break;
    case 'checkpoint':
      await context.checkpoint.set(step[1]);
      break;
    case 'throw':
      throw new Error(step[1]);
    case 'give-up':
      throw new NonRetryable(step[1]);
    case 'retry-after':
      throw new RetryAfter(step[1]);
    case 'snooze':
      throw new Snooze(step[1]);
    case 'exit':
      return process.exit(step[1]);
    case 'kill':
      process.kill(process.pid, step[1]);
      break;
    case 'exhaust-heap':
      return exhaustHeap();
    case 'throw-in-timer':
      setTimeout(() => {
        throw new Error(step[1]);
      }, 0);
      break;
    case 'reject-unhandled':
      void Promise.reject(new Error(step[1]));
      break;
    case 'on-attempt':
      if (context.attempt === step[1]) return runSteps(step[2], context);
      break;
    case 'return':
      return { value: step[1] };
    case 'return-and-kill':
      return { value: undefined, dies: step[1] };
    default:
      throw new NonRetryable(`a script has no step '${String(step[0])}'`);
  }
  return undefined;
}

/** Without `ms`: until the signal aborts. */
function sleep(ms: number | undefined, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = ms === undefined ? undefined : setTimeout(done, ms);
    function done(): void {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      if (signal?.aborted === true) reject(signal.reason as Error);
      else resolve();
    }
    if (signal?.aborted === true) done();
    else signal?.addEventListener('abort', done, { once: true });
  });
}
