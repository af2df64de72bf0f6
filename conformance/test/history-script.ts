import type { CheckedCapabilities } from '../src/history/check-options.ts';
import type { EventArgs, EventFields, HistoryEvent, RecordedCall, RecordedMark } from '../src/history/event.ts';

/** Capabilities of a broker that keeps order and priority, to the millisecond. */
export const strictCapabilities: CheckedCapabilities = {
  timePrecisionMs: 1,
  delay: { maxMs: 1e12, granularityMs: 1 },
  priority: { levels: 10, strict: true },
  order: 'fifo',
  batch: { maxEnqueue: 1_000, maxClaim: 100, enqueueAtomic: false },
  idempotentIds: true,
  groups: false,
  queues: { pause: 'global', counts: 'exact', purge: true },
  session: { minTtlMs: 100, maxTtlMs: 60_000, sweepMs: 1_000 },
  settle: { confirmedBy: 'commit', retryAtomic: true },
};

/** When and by whom. Times are milliseconds. */
export interface CallTiming {
  readonly at: number;
  /** Default 1; `never` leaves it without an answer. */
  readonly took?: number | 'never';
  readonly role?: string;
  readonly pid?: number;
}

/** Writes histories by hand, as a recorder would have. */
export class HistoryScript {
  readonly #events: HistoryEvent[] = [];
  readonly #seqs = new Map<number, number>();

  get events(): readonly HistoryEvent[] {
    return [...this.#events].sort((a, b) => a.t - b.t || a.seq - b.seq);
  }

  session(role: string, pid = 1, ttlMs = 1_000, at = 0): this {
    return this.call('openSession', { args: { ttlMs } }, 'ok', { at, role, pid }, { args: { session: role } });
  }

  enqueue(task: string, timing: CallTiming, outcome = 'accepted', fields: EventFields = {}): this {
    const { args, ...others } = fields;
    const about = {
      task,
      queue: 'line',
      hash: 'in.put',
      ...others,
      args: { name: 'work', priority: 4, maxAttempts: 3, ...args },
    };
    return this.call('enqueue', about, outcome, { role: 'producer', ...timing });
  }

  duplicate(task: string, existingId: string, timing: CallTiming, fields: EventFields = {}): this {
    const about = { task, queue: 'line', hash: 'in.put', ...fields };
    return this.call('enqueue', about, 'duplicate', { role: 'producer', ...timing }, { args: { existingId } });
  }

  claim(task: string, fence: number, attempt: number, timing: CallTiming, fields: EventFields = {}): this {
    const role = timing.role ?? 'w1';
    const { args, ...others } = fields;
    const asked: EventArgs = { session: role, queues: ['line'], names: ['work'], limit: 1, waitMs: 0 };
    const answer = {
      task,
      fence,
      attempt,
      queue: 'line',
      hash: 'in.put',
      ...others,
      args: { session: role, maxAttempts: 3, ...args },
    };
    return this.call('claim', { args: asked }, 'delivered', { ...timing, role }, answer);
  }

  emptyClaim(timing: CallTiming, outcome = 'empty', waitMs = 0): this {
    const role = timing.role ?? 'w1';
    const args: EventArgs = { session: role, queues: ['line'], names: ['work'], limit: 1, waitMs };
    return this.call('claim', { args }, outcome, { ...timing, role });
  }

  settle(
    op: RecordedCall,
    task: string,
    fence: number,
    timing: CallTiming,
    outcome = 'applied',
    args: EventArgs = {},
  ): this {
    const role = timing.role ?? 'w1';
    const output = op === 'complete' ? { hash: '-' } : {};
    return this.call(op, { task, fence, ...output, args: { session: role, ...args } }, outcome, { ...timing, role });
  }

  control(op: RecordedCall, task: string, timing: CallTiming, outcome = 'applied', args: EventArgs = {}): this {
    return this.call(op, { task, args }, outcome, { role: 'control', ...timing });
  }

  read(task: string, timing: CallTiming, state: EventArgs['state'], fence = 0): this {
    return this.call(
      'get',
      { task },
      'ok',
      { role: 'control', ...timing },
      { fence, args: state === undefined ? {} : { state } },
    );
  }

  final(task: string, at: number, state: EventArgs['state'], fields: EventFields = {}): this {
    const { args, ...others } = fields;
    return this.mark(
      'final',
      { task, ...others, args: { ...(state !== undefined && { state }), ...args } },
      { at, role: 'suite' },
    );
  }

  mark(op: RecordedMark, fields: EventFields, timing: CallTiming): this {
    this.#write('event', op, fields, timing, timing.at);
    return this;
  }

  call(op: RecordedCall, fields: EventFields, outcome: string, timing: CallTiming, answer: EventFields = {}): this {
    const call = this.#write('invoke', op, fields, timing, timing.at);
    if (timing.took === 'never') return this;
    const task = fields.task === undefined ? {} : { task: fields.task };
    this.#write('return', op, { ...task, ...answer, call, outcome }, timing, timing.at + (timing.took ?? 1));
    return this;
  }

  #write(
    phase: HistoryEvent['phase'],
    op: HistoryEvent['op'],
    fields: EventFields,
    timing: CallTiming,
    at: number,
  ): number {
    const { pid = 1, role = 'suite' } = timing;
    const seq = (this.#seqs.get(pid) ?? 0) + 1;
    this.#seqs.set(pid, seq);
    this.#events.push({ v: 1, seq, pid, role, t: Math.round(at * 1_000), phase, op, ...fields });
    return seq;
  }
}
