import { type Clock, type Duration, parseDuration, ValidationError } from '@millrace/core';
import { checkInteger, checkKnownOptions, checkName } from '@millrace/core/adapter';
import type { MemoryStore } from './store.ts';

/** How long ended tasks are kept. */
export interface RetentionOptions {
  /** Succeeded and cancelled tasks. Default `'7d'`; `false` keeps them for ever. */
  readonly succeeded?: Duration | false;
  /** Dead tasks. Default `'30d'`; `false` keeps them for ever. */
  readonly failed?: Duration | false;
}

/** Options of {@link memoryBroker}. */
export interface MemoryBrokerOptions {
  /**
   * Whose time it is. Default: the clock of the store, which is the machine's unless it was made with another.
   * Together with `store`, this is only the client's own clock, which times its heartbeats; the store's clock decides
   * when tasks are due and sessions have ended, as a server's would.
   */
  readonly clock?: Clock;
  /** Share the tasks with other brokers that were given the same store. Default: a store of its own. */
  readonly store?: MemoryStore;
  /** Share the tasks with every broker of this process that has the same name. Not together with `store`. */
  readonly name?: string;
  /** Default `{ succeeded: '7d', failed: '30d' }`; `false` keeps everything for ever. */
  readonly retention?: RetentionOptions | false;
  /** Largest input with its headers, in bytes of UTF-8. Default 1,048,576. */
  readonly maxPayloadBytes?: number;
}

/** Retention in milliseconds; `null` is for ever. */
export interface Retention {
  readonly succeededMs: number | null;
  readonly failedMs: number | null;
}

/**
 * Checks what can be checked without a store.
 * @param taker what takes the options, for the message. @throws ValidationError naming the option
 */
export function checkOptions(options: MemoryBrokerOptions, taker: string): void {
  checkKnownOptions(options, ['clock', 'store', 'name', 'retention', 'maxPayloadBytes'], taker);
  if (options.name !== undefined) checkName(options.name, 'name');
  if (options.name !== undefined && options.store !== undefined) {
    throw new ValidationError('name and store both say which tasks are shared; give one of them', { option: 'name' });
  }
}

/** @throws ValidationError naming the option */
export function readRetention(retention: RetentionOptions | false = {}): Retention {
  if (retention === false) return { succeededMs: null, failedMs: null };
  checkKnownOptions(retention, ['succeeded', 'failed'], 'retention');
  return {
    succeededMs: keptMs(retention.succeeded ?? '7d', 'retention.succeeded'),
    failedMs: keptMs(retention.failed ?? '30d', 'retention.failed'),
  };
}

/** @throws ValidationError naming the option */
export function readMaxPayloadBytes(bytes: number = 1_048_576): number {
  return checkInteger(bytes, 'maxPayloadBytes', 1, 2_147_483_647);
}

function keptMs(value: Duration | false, option: string): number | null {
  return value === false ? null : parseDuration(value, option);
}
