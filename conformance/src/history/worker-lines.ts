import { eventVersion, type HistoryEvent } from './event.ts';

/** A line as worker processes of the suite write it: what their handlers did, seen from the inside. */
interface WorkerLine {
  readonly v: number;
  readonly seq: number;
  readonly pid: number;
  /** Nanoseconds of `process.hrtime`. */
  readonly t: string;
  readonly event: string;
  readonly instance?: string;
  readonly task?: string;
  readonly fence?: number;
  readonly attempt?: number;
  readonly how?: string;
  readonly tasks?: readonly string[];
  readonly outcomes?: readonly string[];
}

export function isWorkerLine(value: unknown): value is WorkerLine {
  if (typeof value !== 'object' || value === null || 'phase' in value) return false;
  const { v, seq, pid, t, event } = value as Partial<Record<keyof WorkerLine, unknown>>;
  return (
    v === eventVersion &&
    typeof seq === 'number' &&
    typeof pid === 'number' &&
    typeof t === 'string' &&
    typeof event === 'string'
  );
}

/**
 * Turns a line of a worker's journal into events of a history. `since` is when the journal begins: a worker notes an
 * enqueue when it is answered, so all that is known of its beginning is that it was not before.
 */
export function eventsOfWorkerLine(line: WorkerLine, role: string, since: number): HistoryEvent[] {
  const t = Number(BigInt(line.t) / 1_000n);
  const { seq, pid, task, fence, attempt } = line;
  const base = { v: eventVersion, pid, role } as const;
  const run = {
    ...(task !== undefined && { task }),
    ...(fence !== undefined && { fence }),
    ...(attempt !== undefined && { attempt }),
  };
  if (line.event === 'start') return [{ ...base, seq, t, phase: 'event', op: 'start', ...run }];
  if (line.event === 'end') return [{ ...base, seq, t, phase: 'event', op: 'end', ...run, outcome: line.how ?? 'ok' }];
  if (line.event === 'enqueued') {
    return (line.tasks ?? []).flatMap((id, index): HistoryEvent[] => {
      // Numbers of their own between those of the lines, so that question and answer find each other.
      const call = seq + (index + 1) / 1_000_000;
      const about = { ...base, op: 'enqueue', task: id } as const;
      return [
        { ...about, seq: call, t: since, phase: 'invoke' },
        { ...about, seq: call, t, phase: 'return', call, outcome: line.outcomes?.[index] ?? 'unknown' },
      ];
    });
  }
  return [{ ...base, seq, t, phase: 'event', op: 'alive' }];
}
