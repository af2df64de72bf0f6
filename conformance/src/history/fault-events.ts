import { type EventArgs, eventVersion, type HistoryEvent } from './event.ts';

/** One thing that was broken or healed, as the fault tools note it. */
export interface NotedFault {
  /** `process.hrtime.bigint()`. */
  readonly at: bigint;
  readonly fault: string;
  readonly phase: 'start' | 'heal' | 'instant';
  readonly detail?: string;
  /** The process it hit, when it hit one. Otherwise it concerns everybody. */
  readonly pid?: number;
}

/** Lines for a history, so that the checks know what was broken when. Merge them with those of the journals. */
export function faultEvents(entries: readonly NotedFault[]): HistoryEvent[] {
  return entries.map(({ at, fault, phase, detail, pid }, index) => {
    const args: EventArgs = {
      fault,
      faultPhase: phase,
      ...(detail !== undefined && { detail }),
      ...(pid !== undefined && { target: pid }),
    };
    // Process 0 is nobody's: a fault must not look like a sign of life of the process that caused it.
    return {
      v: eventVersion,
      seq: index + 1,
      pid: 0,
      role: 'fault',
      t: Number(at / 1_000n),
      phase: 'event',
      op: 'fault',
      args,
    };
  });
}
