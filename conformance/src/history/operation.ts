import type { EventArgs, HistoryEvent, RecordedCall } from './event.ts';

/** Errors that promise that nothing happened. Any other leaves open whether the call was applied. */
const notApplied: ReadonlySet<string> = new Set([
  'error:UNAVAILABLE',
  'error:VALIDATION',
  'error:UNSUPPORTED',
  'error:BACKPRESSURE',
  'error:CONFIGURATION',
  'error:NOT_FOUND',
]);

const effective: ReadonlySet<string> = new Set(['accepted', 'replaced', 'applied', 'requested', 'delivered', 'ok']);

const noArgs: EventArgs = {};

/**
 * A call, from its two lines; a delivery is an operation of its own that has the invocation of its claim. It keeps
 * the lines instead of copying them: there may be a million.
 */
export class Operation {
  /** The line that says what it is about: of a delivery the answer, of everything else the question. */
  readonly event: HistoryEvent;
  readonly invoke: number;
  /** The latest moment at which it may have taken effect: `Infinity` while nobody knows whether it did. */
  return: number = Number.POSITIVE_INFINITY;
  /** As recorded; `unknown` when nobody can tell whether it was applied. */
  outcome = 'unknown';
  /** What was answered. */
  answer: HistoryEvent | undefined = undefined;

  constructor(event: HistoryEvent, invoke: number) {
    this.event = event;
    this.invoke = invoke;
  }

  get op(): RecordedCall {
    return this.event.op as RecordedCall;
  }

  get role(): string {
    return this.event.role;
  }

  get pid(): number {
    return this.event.pid;
  }

  /** Of the line that began it. */
  get seq(): number {
    return this.event.call ?? this.event.seq;
  }

  get task(): string | undefined {
    return this.event.task;
  }

  get queue(): string | undefined {
    return this.event.queue;
  }

  get key(): string | undefined {
    return this.event.key;
  }

  get fence(): number {
    return this.event.fence ?? 0;
  }

  get attempt(): number {
    return this.event.attempt ?? 0;
  }

  get hash(): string | undefined {
    return this.event.hash;
  }

  get args(): EventArgs {
    return this.event.args ?? noArgs;
  }

  /** The outcome as recorded, also when it leaves open what happened. Absent when it never returned. */
  get raw(): string | undefined {
    return this.answer === undefined ? undefined : (this.answer.outcome ?? 'ok');
  }

  /** Notes what it was answered. */
  answered(event: HistoryEvent): void {
    const outcome = event.outcome ?? 'ok';
    this.outcome = outcome.startsWith('error:') && !notApplied.has(outcome) ? 'unknown' : outcome;
    // A request whose answer was given up may still be on its way.
    this.return = this.outcome === 'unknown' ? Number.POSITIVE_INFINITY : event.t;
    this.answer = event;
  }
}

/** Whether it surely did something. */
export function took(operation: Operation): boolean {
  return effective.has(operation.outcome);
}

/** Whether it did something, or nobody knows. */
export function mayHaveTaken(operation: Operation): boolean {
  return operation.outcome === 'unknown' || effective.has(operation.outcome);
}
