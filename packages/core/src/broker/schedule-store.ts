import type { NewTask } from '../task.ts';

/** A stored schedule: when a task is enqueued again and again. Core computes the ticks; the broker keeps them. */
export interface ScheduleRecord {
  /** Unique per broker namespace. */
  readonly id: string;
  /** `cron` expression or interval, as core understands it. */
  readonly rule: string;
  readonly timeZone?: string;
  /** What is enqueued at each tick; its id is `schedule:<id>:<tick as ISO instant>`, so no tick can happen twice. */
  readonly task: Omit<NewTask, 'id' | 'delayMs'>;
  /** Ticks missed while nobody was running: drop them, run one, or run all up to a bound. */
  readonly missed: 'skip' | 'once' | 'all';
  readonly paused: boolean;
  /** Epoch milliseconds, broker's clock. Absent when the schedule has ended. */
  readonly nextAt?: number;
  readonly lastAt?: number;
  readonly startsAt?: number;
  readonly endsAt?: number;
}

/** Schedules kept at the broker. Present as a whole or absent. */
export interface ScheduleStore {
  /** Creates or replaces by id; an unchanged rule keeps its next tick. */
  put(schedules: readonly ScheduleRecord[]): Promise<void>;
  list(): Promise<ScheduleRecord[]>;
  remove(ids: readonly string[]): Promise<('applied' | 'not-found')[]>;
  /**
   * Moves a schedule from one tick to the next and enqueues its task, in one step.
   * `stale` when somebody else fired that tick already.
   */
  fire(id: string, tick: number, next: number | undefined, tasks: readonly NewTask[]): Promise<'applied' | 'stale'>;
  /** Schedules whose next tick is due, by the broker's clock. */
  due(limit: number): Promise<{ readonly now: number; readonly schedules: readonly ScheduleRecord[] }>;
}
