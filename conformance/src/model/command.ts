import type { KeyConflict, KeyUntil, SettleOp, TaskState } from '@millrace/core';
import type { ControlType } from './operation.ts';

/**
 * Commands are plain data: they can be generated, shrunk, printed, stored and run again without whatever made them.
 * Tasks, leases and sessions are numbers modulo what there is when the command runs, so any list of commands is a
 * program, and stays one when some are taken out. Times are places in the list of times that fit the broker.
 */
export type Command =
  | { readonly type: 'enqueue'; readonly tasks: readonly TaskSpec[] }
  /** Enqueues an id that was used before, with its own content or with another one. */
  | { readonly type: 'repeat'; readonly task: number; readonly spec?: TaskSpec }
  | {
      readonly type: 'claim';
      readonly session: number;
      readonly limit: number;
      readonly queues: Both;
      readonly names: Both;
      /** Also from a session that is no longer alive. */
      readonly any: boolean;
      /** Only when something waits. */
      readonly eager: boolean;
    }
  | {
      readonly type: 'settle';
      readonly how: SettleOp['type'];
      readonly leases: readonly LeaseSpec[];
      readonly delay: number;
    }
  | { readonly type: 'report'; readonly lease: LeaseSpec; readonly what: 'progress' | 'checkpoint' | 'log' | 'begun' }
  | {
      readonly type: 'control';
      readonly control: ControlType;
      readonly tasks: readonly number[];
      /** Of the tasks whose state allows it, as far as there are any. */
      readonly fitting: boolean;
      readonly value: number;
    }
  | { readonly type: 'queue'; readonly how: 'pause' | 'resume' | 'purge' | 'stats'; readonly queue: number }
  | { readonly type: 'get'; readonly tasks: readonly number[] }
  | { readonly type: 'count'; readonly states: readonly TaskState[]; readonly queue: number }
  | { readonly type: 'list'; readonly limit: number; readonly queue: number }
  | { readonly type: 'maintain' }
  | { readonly type: 'advance'; readonly time: number }
  | { readonly type: 'openSession' }
  | { readonly type: 'endSession'; readonly session: number; readonly close: boolean }
  | { readonly type: 'freeze'; readonly session: number }
  | { readonly type: 'thaw'; readonly session: number }
  /** A process dies that held something, its time to live passes, and somebody sweeps. */
  | { readonly type: 'crash'; readonly session: number; readonly sweep: boolean }
  | { readonly type: 'reopen' };

/** The first of two, the second, or both. */
export type Both = 0 | 1 | 2;

export interface TaskSpec {
  readonly name: number;
  readonly queue: number;
  /** 0 is none. */
  readonly key: number;
  readonly until: KeyUntil;
  readonly conflict: KeyConflict;
  readonly delay: number;
  readonly expiry: number;
  readonly priority: number;
  readonly attempts: number;
  readonly input: number;
  /** Due at an instant long ago, instead of after a delay. */
  readonly past: boolean;
  readonly invalid: boolean;
}

export interface LeaseSpec {
  readonly pick: number;
  /** Of the leases that still hold; otherwise of all there ever were. */
  readonly held: boolean;
  /** Changes its fence, into one that was never given out. */
  readonly forge: -1 | 0 | 1;
}
