import { closeSync, existsSync, openSync, readFileSync, writeSync } from 'node:fs';

/** What a worker process notes. */
export type WorkerEvent =
  /** It claims. */
  | { readonly event: 'ready'; readonly instance: string }
  /** A handler begins. */
  | { readonly event: 'start'; readonly task: string; readonly attempt: number; readonly fence: number }
  /** A handler has returned or thrown. Whether the broker takes it is another matter. */
  | {
      readonly event: 'end';
      readonly task: string;
      readonly attempt: number;
      readonly fence: number;
      readonly how: 'returned' | 'threw';
      readonly error?: string;
    }
  /** A handler's signal aborted. `code` is the reason's: `LEASE_LOST` or `ABORTED`; `why` says by whom. */
  | {
      readonly event: 'abort';
      readonly task: string;
      readonly attempt: number;
      readonly fence: number;
      readonly code?: string;
      readonly why?: string;
    }
  /** The worker's logger was called with a warning or an error. */
  | { readonly event: 'log'; readonly level: 'warn' | 'error'; readonly message: string; readonly task?: string }
  /** Enqueued for a `produce` message: ids of one call and what became of them. */
  | { readonly event: 'enqueued'; readonly tasks: readonly string[]; readonly outcomes: readonly string[] }
  | { readonly event: 'stopped'; readonly drained: number; readonly released: number; readonly abandoned: number };

/** A noted event. */
export type JournalEntry = WorkerEvent & {
  /** Counts from 1 in its process. */
  readonly seq: number;
  readonly pid: number;
  /** `process.hrtime.bigint()`: one axis of time for all processes of a machine. */
  readonly at: bigint;
};

/** Where events go. */
export type Recorder = (event: WorkerEvent) => void;

/**
 * Notes events in a file, one JSON line each. Written synchronously and appended: everything noted before a SIGKILL is
 * there, where messages to a parent process are lost by the hundreds.
 */
export function openJournal(file: string): { readonly record: Recorder; close(): void } {
  const handle = openSync(file, 'a');
  let seq = 0;
  return {
    record: (event) => {
      seq += 1;
      const line = { v: 1, seq, pid: process.pid, t: String(process.hrtime.bigint()), ...event };
      writeSync(handle, `${JSON.stringify(line)}\n`);
    },
    close: () => closeSync(handle),
  };
}

/** Reads a journal, also while it is written. A last line that is not complete yet is left out. */
export function readJournal(file: string): JournalEntry[] {
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, 'utf8').split('\n').slice(0, -1);
  return lines.map((line) => {
    const { v: _version, t, ...entry } = JSON.parse(line) as JournalEntry & { v: 1; t: string };
    return { ...entry, at: BigInt(t) };
  });
}
