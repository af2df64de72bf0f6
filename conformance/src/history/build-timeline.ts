import type { HistoryEvent } from './event.ts';
import { inOrder } from './journal.ts';
import { splitLives } from './lives.ts';
import { Operation } from './operation.ts';
import { push, TaskHistory } from './task-history.ts';
import type { SessionHistory, Timeline } from './timeline.ts';

/** Lists of a task's history by the call that goes there. */
const listOf: Readonly<Record<string, 'enqueues' | 'settles' | 'reports' | 'controls' | 'reads'>> = {
  enqueue: 'enqueues',
  complete: 'settles',
  retry: 'settles',
  fail: 'settles',
  release: 'settles',
  snooze: 'settles',
  settlePause: 'settles',
  settleCancel: 'settles',
  report: 'reports',
  cancel: 'controls',
  pause: 'controls',
  resume: 'controls',
  rerun: 'controls',
  reschedule: 'controls',
  update: 'controls',
  remove: 'controls',
  get: 'reads',
  wait: 'reads',
};
const queueCalls: ReadonlySet<string> = new Set(['queuePause', 'queueResume', 'queuePurge']);

/** Sorts a history out: pairs the lines of calls and files them by task. One pass, whatever the length. */
export function buildTimeline(unsorted: readonly HistoryEvent[]): Timeline {
  const events = inOrder(unsorted);
  const builder = new TimelineBuilder();
  for (const event of events) builder.add(event);
  return builder.finish(events);
}

class TimelineBuilder {
  readonly #tasks = new Map<string, TaskHistory>();
  /** Calls by process and `seq`. */
  readonly #open = new Map<number, Map<number, Operation>>();
  readonly #sessions = new Map<string, SessionHistory>();
  readonly #emptyClaims: Operation[] = [];
  readonly #hiddenClaims: Operation[] = [];
  readonly #queueControls: Operation[] = [];
  readonly #maintenance: Operation[] = [];
  readonly #calls: Operation[] = [];
  readonly #faults: HistoryEvent[] = [];
  readonly #resources: HistoryEvent[] = [];
  readonly #transactions = new Map<string, HistoryEvent>();
  readonly #lastSeen = new Map<number, number>();
  #counts: HistoryEvent | undefined;
  #drainedAt: number | undefined;
  #hasEffects = false;

  add(event: HistoryEvent): void {
    this.#lastSeen.set(event.pid, event.t);
    if (event.phase === 'invoke') this.#invoke(event);
    else if (event.phase === 'return') this.#return(event);
    else this.#mark(event);
  }

  finish(events: readonly HistoryEvent[]): Timeline {
    for (const operation of this.#calls) {
      if (operation.op !== 'claim') continue;
      if (operation.outcome === 'empty') this.#emptyClaims.push(operation);
      // Its process died while it wrote down what it was given.
      if ((operation.answer?.args?.left ?? 0) > 0) operation.outcome = 'unknown';
      if (operation.outcome === 'unknown') this.#hiddenClaims.push(operation);
    }
    this.#spreadUnknownReplacements();
    return {
      events: events.length,
      firstAt: events[0]?.t ?? 0,
      lastAt: events.at(-1)?.t ?? 0,
      tasks: splitLives([...this.#tasks.values()], this.#queueControls, this.#maintenance),
      emptyClaims: this.#emptyClaims,
      hiddenClaims: this.#hiddenClaims,
      sessions: this.#sessions,
      calls: this.#calls,
      queueControls: this.#queueControls,
      maintenance: this.#maintenance,
      faults: this.#faults,
      resources: this.#resources,
      counts: this.#counts,
      drainedAt: this.#drainedAt,
      hasEffects: this.#hasEffects,
      transactions: this.#transactions,
      lastSeen: this.#lastSeen,
    };
  }

  /** An enqueue whose answer was lost may have given its content to whatever task had its unique key. */
  #spreadUnknownReplacements(): void {
    const unknown = this.#calls.filter(
      (call) => call.op === 'enqueue' && call.outcome === 'unknown' && call.args.onConflict === 'replace',
    );
    if (unknown.length === 0) return;
    for (const task of this.#tasks.values()) {
      for (const call of unknown) {
        const mayMeet = task.enqueues.some((each) => each.key === call.key && each.queue === call.queue);
        if (mayMeet && call.task !== task.id) task.replacements = push(task.replacements, call);
      }
    }
  }

  #task(id: string): TaskHistory {
    let task = this.#tasks.get(id);
    if (task === undefined) {
      task = new TaskHistory(id);
      this.#tasks.set(id, task);
    }
    return task;
  }

  #invoke(event: HistoryEvent): void {
    const operation = new Operation(event, event.t);
    let open = this.#open.get(event.pid);
    if (open === undefined) {
      open = new Map();
      this.#open.set(event.pid, open);
    }
    open.set(event.seq, operation);
    this.#calls.push(operation);
    if (event.op === 'endSession' || event.op === 'close') this.#endSessions(operation);
    const list = listOf[event.op];
    if (list !== undefined) {
      const task = this.#task(event.task ?? '');
      task[list] = push(task[list], operation);
    } else if (queueCalls.has(event.op)) this.#queueControls.push(operation);
    else if (event.op === 'maintain') this.#maintenance.push(operation);
  }

  #return(event: HistoryEvent): void {
    const open = this.#open.get(event.pid);
    const operation = event.call === undefined ? undefined : open?.get(event.call);
    // A return whose invoke is missing tells nothing about when it began.
    if (operation === undefined) return;
    operation.answered(event);
    if (operation.op === 'claim') {
      // It may have more deliveries.
      if (event.outcome === 'delivered') this.#deliver(operation, event);
      return;
    }
    open?.delete(operation.seq);
    if (operation.op === 'openSession') this.#openSession(operation, event);
    else if (operation.op === 'enqueue' && operation.outcome === 'replaced') {
      const task = this.#task(event.args?.existingId ?? '');
      task.replacements = push(task.replacements, operation);
    }
  }

  #openSession(operation: Operation, event: HistoryEvent): void {
    const id = event.args?.session;
    if (id === undefined || operation.outcome !== 'ok') return;
    const { role, pid, args } = operation;
    const lostAt = Number.POSITIVE_INFINITY;
    this.#sessions.set(id, { id, role, pid, ttlMs: args.ttlMs, lostAt, end: undefined, close: undefined });
  }

  /** From its invocation on a session may have ended, whether or not the call ever returns. */
  #endSessions(operation: Operation): void {
    if (operation.op === 'endSession') {
      const session = this.#sessions.get(operation.args.session ?? '');
      if (session !== undefined) session.end ??= operation;
      return;
    }
    for (const session of this.#sessions.values()) {
      if (session.pid === operation.pid && session.role === operation.role) session.close ??= operation;
    }
  }

  #deliver(claim: Operation, event: HistoryEvent): void {
    const delivery = new Operation(event, claim.invoke);
    delivery.answered(event);
    const task = this.#task(event.task ?? '');
    task.claims = push(task.claims, delivery);
  }

  #mark(event: HistoryEvent): void {
    if (event.task !== undefined) this.#markTask(event, this.#task(event.task));
    else if (event.op === 'fault') this.#faults.push(event);
    else if (event.op === 'drained') this.#drainedAt = event.t;
    else if (event.op === 'counts') this.#counts = event;
    else if (event.op === 'resources') this.#resources.push(event);
    else if (event.op === 'commit' || event.op === 'rollback') this.#transactions.set(event.args?.tx ?? '', event);
    else if (event.op === 'lost') {
      const session = this.#sessions.get(event.args?.session ?? '');
      if (session !== undefined) session.lostAt = Math.min(session.lostAt, event.t);
    }
  }

  #markTask(event: HistoryEvent, task: TaskHistory): void {
    if (event.op === 'effect') this.#hasEffects = true;
    if (event.op === 'final') task.final = event;
    else task.marks = push(task.marks, event);
  }
}
