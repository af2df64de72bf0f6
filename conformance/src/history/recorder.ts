import type { Middleware } from '@millrace/core';
import { errorOutcome } from './error-outcome.ts';
import { type EventFields, eventVersion, type RecordedCall, type RecordedMark } from './event.ts';
import type { Journal } from './journal.ts';

/** How a recorder stamps and where it writes. */
export interface RecorderOptions {
  /** Every line goes to each of them. */
  readonly journals: readonly Journal[];
  /** Microseconds that only grow. Default: `process.hrtime`, one axis for all processes of a machine (E6). */
  readonly now?: () => number;
  /** Epoch milliseconds, to turn instants that callers give into spans. Default: `Date.now`. */
  readonly epoch?: () => number;
  /** Default: this process. */
  readonly pid?: number;
}

/** One call as it is being recorded: a line when it begins, and one for each thing that is answered. */
export interface OpenCall {
  readonly seq: number;
  answer(outcome: string, fields?: EventFields): void;
}

/**
 * Writes what a process asks of a broker and what it is answered. A call that is never answered, because the process
 * dies, leaves its first line only; the checker takes it as unknown.
 */
export class Recorder {
  readonly #journals: readonly Journal[];
  readonly #now: () => number;
  /** Epoch milliseconds by the clock the callers go by. */
  readonly epoch: () => number;
  readonly #pid: number;
  #seq = 0;

  constructor(options: RecorderOptions) {
    this.#journals = options.journals;
    this.#now = options.now ?? monotonicMicroseconds;
    this.epoch = options.epoch ?? Date.now;
    this.#pid = options.pid ?? process.pid;
  }

  /** A middleware for workers that records when handlers start and end, from the inside. */
  handlers(role: string): Middleware {
    return async (context, next) => {
      const run = { task: context.id, queue: context.queue, fence: context.fence, attempt: context.attempt };
      this.note(role, 'start', run);
      try {
        const result = await next();
        this.note(role, 'end', { ...run, outcome: 'ok' });
        return result;
      } catch (error) {
        this.note(role, 'end', { ...run, outcome: errorOutcome(error) });
        throw error;
      }
    };
  }

  /** Records something that is not a call. */
  note(role: string, op: RecordedMark, fields: EventFields = {}): void {
    this.#write(role, 'event', op, fields);
  }

  /** Records the beginning of a call. */
  begin(role: string, op: RecordedCall, fields: EventFields = {}): OpenCall {
    const seq = this.#write(role, 'invoke', op, fields);
    return {
      seq,
      answer: (outcome, more = {}) => {
        this.#write(role, 'return', op, { ...more, call: seq, outcome });
      },
    };
  }

  #write(role: string, phase: 'invoke' | 'return' | 'event', op: RecordedCall | RecordedMark, fields: EventFields) {
    this.#seq += 1;
    const event = {
      v: eventVersion,
      seq: this.#seq,
      pid: this.#pid,
      role,
      t: this.#now(),
      phase,
      op,
      ...fields,
    } as const;
    for (const journal of this.#journals) journal.append(event);
    return this.#seq;
  }
}

/** One axis of time for all processes of a machine. */
export function monotonicMicroseconds(): number {
  return Number(process.hrtime.bigint() / 1_000n);
}
