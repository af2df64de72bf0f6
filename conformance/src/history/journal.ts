import { closeSync, openSync, readdirSync, readFileSync, writeSync } from 'node:fs';
import path from 'node:path';
import { eventVersion, type HistoryEvent } from './event.ts';
import { eventsOfWorkerLine, isWorkerLine } from './worker-lines.ts';

/** Where recorded lines go. */
export interface Journal {
  append(event: HistoryEvent): void;
}

/** A journal in memory, for histories of one process. */
export interface MemoryJournal extends Journal {
  readonly events: readonly HistoryEvent[];
}

export function memoryJournal(): MemoryJournal {
  const events: HistoryEvent[] = [];
  return { events, append: (event) => void events.push(event) };
}

/** A journal in a file. */
export interface FileJournal extends Journal {
  readonly path: string;
  close(): void;
}

/**
 * A journal that survives `kill -9` of its process: a line is with the operating system when `append` returns (E3).
 * Give each process a file of its own.
 */
export function fileJournal(file: string): FileJournal {
  const descriptor = openSync(file, 'a');
  return {
    path: file,
    append: (event) => {
      const line = Buffer.from(`${JSON.stringify(event)}\n`);
      for (let written = 0; written < line.length; ) written += writeSync(descriptor, line, written);
    },
    close: () => closeSync(descriptor),
  };
}

/** The usual name of this process's journal in a directory. */
export function journalPath(directory: string, pid: number = process.pid): string {
  return path.join(directory, `journal-${pid}.ndjson`);
}

/** What several journals say together. */
export interface ReadJournals {
  /** In the order of time; lines of one process keep their order. */
  readonly events: readonly HistoryEvent[];
  /** Journals whose last line was cut short, as a killed process leaves it. That line is not among the events. */
  readonly torn: readonly string[];
}

/**
 * Reads and merges journals: files, or directories with `*.ndjson` in them.
 * @throws Error for a broken line that is not the last one, or lines of another format version
 */
export function readJournals(places: readonly string[]): ReadJournals {
  const events: HistoryEvent[] = [];
  const torn: string[] = [];
  for (const file of places.flatMap(filesAt)) {
    if (!readInto(events, file)) torn.push(file);
  }
  return { events: inOrder(events), torn };
}

/** Events in the order of time. Costs nothing when they are in order already. */
export function inOrder(events: readonly HistoryEvent[]): readonly HistoryEvent[] {
  for (let index = 1; index < events.length; index++) {
    if (isBefore(events[index] as HistoryEvent, events[index - 1] as HistoryEvent)) {
      return [...events].sort((a, b) => (isBefore(a, b) ? -1 : isBefore(b, a) ? 1 : 0));
    }
  }
  return events;
}

function isBefore(a: HistoryEvent, b: HistoryEvent): boolean {
  if (a.t !== b.t) return a.t < b.t;
  return a.pid === b.pid && a.seq < b.seq;
}

function filesAt(place: string): string[] {
  try {
    const names = readdirSync(place).filter((name) => name.endsWith('.ndjson'));
    return names.sort().map((name) => path.join(place, name));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOTDIR') return [place];
    throw error;
  }
}

const newline = 10;

/** Whether the file ends with a whole line. Goes by bytes: a journal may be longer than the longest string. */
function readInto(events: HistoryEvent[], file: string): boolean {
  const bytes = readFileSync(file);
  const reader = new LineReader();
  let start = 0;
  for (let line = 1; start < bytes.length; line++) {
    const end = bytes.indexOf(newline, start);
    const text = bytes.toString('utf8', start, end === -1 ? bytes.length : end);
    const found = reader.read(text);
    if (found === undefined) {
      if (end === -1) return false;
      throw new Error(`${file}:${line} is not a line of a journal of version ${eventVersion}: ${text.slice(0, 80)}`);
    }
    events.push(...found);
    if (end === -1) return true;
    start = end + 1;
  }
  return true;
}

/** Understands the lines of one journal. */
class LineReader {
  #role: string | undefined;
  #since: number | undefined;

  /** The events of a line, or `undefined` when it is none. */
  read(text: string): readonly HistoryEvent[] | undefined {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      return undefined;
    }
    if (isWorkerLine(value)) {
      this.#role ??= value.instance ?? `worker-${value.pid}`;
      this.#since ??= microseconds(value.t);
      return eventsOfWorkerLine(value, this.#role, this.#since);
    }
    if (!isEvent(value)) return undefined;
    return [typeof value.t === 'string' ? { ...value, t: microseconds(value.t) } : (value as HistoryEvent)];
  }
}

/** Of a time in nanoseconds, as text. */
function microseconds(nanoseconds: string): number {
  return Number(BigInt(nanoseconds) / 1_000n);
}

/** An event whose time may still be nanoseconds in text. */
type WrittenEvent = Omit<HistoryEvent, 't'> & { readonly t: number | string };

function isEvent(value: unknown): value is WrittenEvent {
  if (typeof value !== 'object' || value === null) return false;
  const { v, seq, pid, t, phase, op } = value as Partial<Record<keyof HistoryEvent, unknown>>;
  return (
    v === eventVersion &&
    typeof seq === 'number' &&
    typeof pid === 'number' &&
    (typeof t === 'number' || (typeof t === 'string' && /^\d+$/.test(t))) &&
    typeof op === 'string' &&
    (phase === 'invoke' || phase === 'return' || phase === 'event')
  );
}
