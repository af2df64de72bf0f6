import { MillraceError } from '../errors.ts';
import type { TaskHandle } from './task-handle.ts';

/**
 * Thrown by `enqueueMany` when some tasks were not stored and others were, or may have been. Code, option and reason
 * are those of the first that was not. To go on, repeat the items whose outcome is `rejected`.
 */
export class EnqueueManyError<Output = unknown> extends MillraceError {
  /** One for each item, in order, as `Promise.allSettled` has them: the handle of a stored task, or why it is none. */
  readonly outcomes: readonly PromiseSettledResult<TaskHandle<Output>>[];

  constructor(outcomes: readonly PromiseSettledResult<TaskHandle<Output>>[], first: MillraceError) {
    const stored = outcomes.filter(({ status }) => status === 'fulfilled').length;
    super(
      first.code,
      first.retryable,
      `${outcomes.length - stored} of ${outcomes.length} tasks were not stored; the first: ${first.message}`,
      {
        op: 'enqueue',
        cause: first,
        ...(first.adapter === undefined ? {} : { adapter: first.adapter }),
        ...(first.option === undefined ? {} : { option: first.option }),
        ...(first.reason === undefined ? {} : { reason: first.reason }),
      },
    );
    this.outcomes = outcomes;
  }
}
