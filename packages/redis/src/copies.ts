import { isMillraceError } from '@millrace/core';
import { sleep, withDeadline } from '@millrace/core/adapter';
import { DeadlineError } from './errors.ts';
import type { StoreSettings } from './options.ts';
import { checkDurable } from './wait-for-copies.ts';

/** What copies are asked for with. */
export interface CopiesSettings {
  readonly store: StoreSettings;
  /** Sends a command on the connection that the writes went through. Ends by itself when that connection does. */
  readonly send: (name: string, args: readonly string[], timeoutMs: number) => Promise<unknown>;
  readonly stop: AbortSignal;
}

interface Waiting {
  readonly op: string;
  readonly until: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
  /** What an earlier round has brought. It is known, also if a later one is not answered in time. */
  tooFew?: Error;
}

/**
 * How long the server is asked to wait at a time. It does nothing else for the connection meanwhile, and a heartbeat
 * must not stand behind a write whose copies are nowhere to be had.
 */
const roundMs = 60;
/** For what is in line behind a round that brought too few. */
const pauseMs = 40;

/** Waits, together for all who want it, until what a connection has written is as durable as the options say. */
export class Copies {
  readonly #settings: CopiesSettings;
  #waiting: Waiting[] = [];
  #asking = false;

  constructor(settings: CopiesSettings) {
    this.#settings = settings;
  }

  /** Whether writes wait at all. */
  get wanted(): boolean {
    const { replicas, disk } = this.#settings.store;
    return replicas > 0 || disk;
  }

  /** Resolves when all that was answered on the connection so far has its copies. @throws IndeterminateError DeadlineError */
  reached(op: string, timeoutMs: number): Promise<void> {
    const { clock } = this.#settings.store;
    const until = clock.monotonic() + timeoutMs;
    let late = (): Error => new DeadlineError();
    const reached = new Promise<void>((resolve, reject) => {
      const waiting: Waiting = { op, until, resolve, reject };
      late = () => waiting.tooFew ?? new DeadlineError();
      this.#waiting.push(waiting);
      if (!this.#asking) void this.#ask();
    });
    return withDeadline(reached, timeoutMs, () => late(), clock);
  }

  /** The connection is gone: another may lead to a server that has copies, and not of this. */
  lose(error: Error): void {
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }

  async #ask(): Promise<void> {
    const { store, stop } = this.#settings;
    this.#asking = true;
    while (this.#waiting.length > 0) {
      const round = this.#waiting.splice(0);
      const longest = Math.max(...round.map(({ until }) => until)) - store.clock.monotonic();
      await this.#askOnce(round, Math.max(1, longest));
      if (this.#waiting.some((each) => round.includes(each))) await sleep(pauseMs, stop, store.clock);
    }
    this.#asking = false;
  }

  /** Those for whom it is too early to give up wait for the next round. */
  async #askOnce(round: readonly Waiting[], timeoutMs: number): Promise<void> {
    const { store, send } = this.#settings;
    let answer: Promise<unknown> | undefined;
    const ask = (name: string, args: readonly string[]): Promise<unknown> => {
      if (answer !== undefined) return answer;
      // A server may count up to the last change of the connection that asks. What an earlier one has written, or
      // somebody else, is covered by a change that comes after it; this one is heard by nobody.
      send('publish', [`${store.prefix}:copies`, ''], timeoutMs).catch(() => {});
      answer = send(name, args, timeoutMs);
      return answer;
    };
    const judge = async (each: Waiting): Promise<void> => {
      try {
        await checkDurable(store, each.op, roundMs, ask);
        each.resolve();
      } catch (error) {
        if (isMillraceError(error) && error.reason === 'too-few-copies') each.tooFew = error;
        const hasTime = store.clock.monotonic() + pauseMs + 2 * roundMs < each.until;
        if (error === each.tooFew && hasTime) this.#waiting.push(each);
        else each.reject(error);
      }
    };
    await Promise.all(round.map(judge));
  }
}
