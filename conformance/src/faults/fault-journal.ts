/** One thing a fault tool did, so that a check can tell what was broken when. */
export interface FaultEntry {
  /** `process.hrtime.bigint()`: one axis of time for all processes of a machine. */
  readonly at: bigint;
  /** What it was, such as `blackhole`. */
  readonly fault: string;
  /** `start` and `heal` enclose a fault that lasts; `instant` is over when it happens. */
  readonly phase: 'start' | 'heal' | 'instant';
  readonly detail?: string;
}

/** A fault that lasts until it is healed. */
export interface Fault {
  /** Safe to repeat. */
  heal(): void;
}

/** What was broken when, in order. */
export class FaultJournal {
  readonly #entries: FaultEntry[] = [];
  readonly #active = new Set<Fault>();

  get entries(): readonly FaultEntry[] {
    return this.#entries;
  }

  /** Faults that were started and not healed. */
  get active(): number {
    return this.#active.size;
  }

  instant(fault: string, detail?: string): void {
    this.#note(fault, 'instant', detail);
  }

  /** Notes the start of a fault, and its end when it is healed. */
  start(fault: string, detail: string | undefined, undo: () => void): Fault {
    this.#note(fault, 'start', detail);
    const started: Fault = {
      heal: () => {
        if (!this.#active.delete(started)) return;
        this.#note(fault, 'heal', detail);
        undo();
      },
    };
    this.#active.add(started);
    return started;
  }

  /** Ends every fault, the last one first. */
  healAll(): void {
    for (const fault of [...this.#active].reverse()) fault.heal();
  }

  #note(fault: string, phase: FaultEntry['phase'], detail: string | undefined): void {
    const entry = { at: process.hrtime.bigint(), fault, phase };
    this.#entries.push(detail === undefined ? entry : { ...entry, detail });
  }
}
