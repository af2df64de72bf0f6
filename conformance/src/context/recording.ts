import type { Broker } from '@millrace/core';
import { eventVersion, type HistoryEvent } from '../history/event.ts';
import { type MemoryJournal, memoryJournal } from '../history/journal.ts';
import { recordBroker } from '../history/recorded-broker.ts';
import { recordFields } from '../history/recorded-task-store.ts';
import { Recorder } from '../history/recorder.ts';
import { watchStalls } from '../history/stall-watch.ts';
import type { Client } from './client.ts';
import type { ScenarioContext } from './scenario-context.ts';

/** How a recording is judged. */
interface JudgeOptions {
  /** Printed with every witness. */
  readonly seed?: number;
  /** Answers were lost: a broker whose retry is not one step may then hold two copies of a task. */
  readonly faulty?: boolean;
  /** Tasks whose events are left out. */
  readonly without?: ReadonlySet<string>;
  /** What other processes recorded. */
  readonly more?: readonly HistoryEvent[];
}

/** Each copy keeps these; together they do not. */
const invariantsOfOneCopy = ['H04', 'H05', 'H06', 'H07', 'H08', 'H09'];

/** What the clients of a scenario ask and are answered, written down and judged at its end. */
export class Recording {
  readonly recorder: Recorder;
  readonly #t: ScenarioContext;
  readonly #journal: MemoryJournal = memoryJournal();
  readonly #brokers = new Map<Client, Broker<unknown>>();
  #roles = 0;
  #last = 0;
  #faults = 0;

  constructor(t: ScenarioContext) {
    this.#t = t;
    this.recorder = new Recorder({
      journals: [this.#journal],
      now: () => this.#next(),
      epoch: () => t.tempo.clock.now(),
    });
    if (t.tempo.kind === 'virtual') return;
    const endWatch = watchStalls(
      () => this.#next(),
      (event) => this.#journal.append(event),
    );
    t.defer(async () => endWatch());
  }

  /** What was asked and answered about a task, a line for each. */
  callsAbout(task: string): string[] {
    return this.#journal.events
      .filter((event) => event.task === task)
      .map(({ t, role, phase, op, fence, outcome }) =>
        `${t} ${role} ${phase} ${op} ${fence ?? ''} ${outcome ?? ''}`.trim(),
      );
  }

  /** Notes that a client was frozen, or goes on: what it holds meanwhile, it holds without knowing. */
  noteFreeze(role: string, faultPhase: 'start' | 'heal'): void {
    const opened = this.#journal.events.findLast((event) => event.role === role && event.args?.session !== undefined);
    this.#noteFault('freeze', faultPhase, this.#next(), opened?.args?.session);
  }

  #noteFault(fault: string, faultPhase: 'start' | 'heal' | 'instant', at: number, session?: string): void {
    this.#faults += 1;
    const args = { fault, faultPhase, ...(session !== undefined && { session }) };
    // A journal of its own: it may be noted later than it happened.
    const about = { v: eventVersion, seq: this.#faults, pid: 0, role: 'fault', t: at } as const;
    this.#journal.append({ ...about, phase: 'event', op: 'fault', args });
  }

  /**
   * Microseconds that never stand still: on a virtual clock much happens at one instant, and still in an order. In real
   * time they are those of all processes of this machine.
   */
  #next(): number {
    const { tempo } = this.#t;
    const now = tempo.kind === 'virtual' ? Math.round(tempo.now() * 1_000) : Number(process.hrtime.bigint() / 1_000n);
    this.#last = Math.max(now, this.#last + 1);
    return this.#last;
  }

  /** The broker of an opened client, recorded. The same for the same client. */
  of(client: Client, role?: string): Broker<unknown> {
    const known = this.#brokers.get(client);
    if (known !== undefined) return known;
    this.#roles += 1;
    const recorded = recordBroker(client.broker, this.recorder, role ?? `client ${this.#roles}`);
    this.#brokers.set(client, recorded);
    return recorded;
  }

  /**
   * Reads every task of these ids, and judges. Everything must have come to rest. Where tasks cannot be looked up, what
   * was delivered and settled has to do.
   */
  async judge(ids: readonly string[], options: JudgeOptions = {}): Promise<void> {
    const t = this.#t;
    const { recorder } = this;
    if (t.capabilities.tasks.get) {
      recorder.note('suite', 'drained');
      const counts: Record<string, number> = {};
      for (let first = 0; first < ids.length; first += 200) {
        const page = ids.slice(first, first + 200);
        const records = await t.soon(t.tasks.get(page), 'the answer to get');
        for (const [index, record] of records.entries()) {
          recorder.note('suite', 'final', { task: page[index] ?? '', ...recordFields(record) });
          if (record !== undefined) counts[record.state] = (counts[record.state] ?? 0) + 1;
        }
      }
      recorder.note('suite', 'counts', { args: { counts } });
    }
    const { seed, without, more = [] } = options;
    const events = [...this.#journal.events, ...more];
    const judged =
      without === undefined || without.size === 0
        ? events
        : events.filter(({ task }) => task === undefined || !without.has(task));
    const mayFork = options.faulty === true && !t.capabilities.settle.retryAtomic;
    t.judge(judged, { ...(seed !== undefined && { seed }), except: mayFork ? invariantsOfOneCopy : [] });
  }
}
