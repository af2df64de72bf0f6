import { checkInteger } from '../adapter/checks.ts';
import type { TaskDefinition, TaskParsedInput, TaskReturn } from '../define-task.ts';
import { ValidationError } from '../errors.ts';
import { checkKnownOptions, kindOf } from '../known-options.ts';
import type { TaskContext } from './task-context.ts';

/** How a worker runs one kind of task. */
export interface HandlerOptions {
  /** At most this many runs of this task at once in one worker. Default: the worker's concurrency. */
  readonly concurrency?: number;
}

/** A task definition bound to the function that runs it. */
export interface Handler {
  readonly definition: TaskDefinition;
  readonly concurrency: number | undefined;
  readonly run: (input: unknown, context: TaskContext) => unknown;
}

/**
 * Binds a handler to a task. Its input is what the schema made of the stored value; what it returns is the result.
 * @throws ValidationError naming the option
 */
export function handle<D extends TaskDefinition>(
  definition: D,
  run: (input: TaskParsedInput<D>, context: TaskContext) => TaskReturn<D> | Promise<TaskReturn<D>>,
  options: HandlerOptions = {},
): Handler {
  checkKnownOptions(options, ['concurrency'], 'handle');
  if (typeof run !== 'function') {
    throw new ValidationError(`handle(${definition.name}) needs a function; got ${kindOf(run)}`, { option: 'run' });
  }
  const concurrency =
    options.concurrency === undefined ? undefined : checkInteger(options.concurrency, 'concurrency', 1, 100_000);
  return { definition, concurrency, run: run as Handler['run'] };
}
