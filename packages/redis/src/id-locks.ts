import { randomBytes } from 'node:crypto';
import { UnavailableError } from '@millrace/core';
import { sleep } from '@millrace/core/adapter';
import type { CallOptions, RedisConnection } from './connection.ts';
import type { Keys } from './keys.ts';
import type { StoreSettings } from './options.ts';

/** What locks are made with. */
export interface IdLockContext {
  readonly connection: RedisConnection;
  readonly keys: Keys;
  readonly settings: StoreSettings;
}

const mostInCall = 1_000;
const call: CallOptions = { op: 'enqueue', harmless: true };

/**
 * Keeps two producers from storing one id in two queues, which lie in different slots. Only ids that callers chose are
 * locked. A lock that is not given back expires, later than any call may last.
 */
export class IdLocks {
  readonly #context: IdLockContext;
  readonly #token = randomBytes(12).toString('base64url');

  constructor(context: IdLockContext) {
    this.#context = context;
  }

  /** @throws UnavailableError when somebody else keeps one for too long */
  async acquire(ids: readonly string[]): Promise<void> {
    const { settings } = this.#context;
    const { clock, operationTimeoutMs } = settings;
    const until = clock.monotonic() + operationTimeoutMs;
    // All or none: two that wait for each other would otherwise never end.
    for (let pauseMs = 2; ; pauseMs = Math.min(pauseMs * 2, 50)) {
      const answers = await Promise.allSettled(
        this.#groups(ids).map((keys) => this.#run('lockIds', keys, [String(operationTimeoutMs * 3)])),
      );
      if (answers.every((answer) => answer.status === 'fulfilled' && answer.value === 1)) return;
      // Those of nodes that answered must not stand in the way of the next try.
      this.release(ids);
      for (const answer of answers) if (answer.status === 'rejected') throw answer.reason;
      if (clock.monotonic() + pauseMs > until) {
        throw new UnavailableError('enqueue: somebody else is storing a task of the same id; nothing was stored', {
          op: 'enqueue',
          adapter: 'redis',
          reason: 'id-locked',
        });
      }
      await sleep(pauseMs * (0.5 + Math.random()), undefined, clock);
    }
  }

  /** Nobody waits for it: on the same connection it arrives before whatever is sent next. */
  release(ids: readonly string[]): void {
    for (const keys of this.#groups(ids)) this.#run('unlockIds', keys, []).catch(() => {});
  }

  #run(script: 'lockIds' | 'unlockIds', keys: readonly string[], args: readonly string[]): Promise<unknown> {
    return this.#context.connection.runOnKeys(script, keys, [this.#token, ...args], call);
  }

  /** On a cluster each id lies in a slot of its own. */
  #groups(ids: readonly string[]): string[][] {
    const { connection, keys } = this.#context;
    const size = connection.isCluster ? 1 : mostInCall;
    const groups: string[][] = [];
    for (let from = 0; from < ids.length; from += size) {
      groups.push(ids.slice(from, from + size).map((id) => keys.id(id)));
    }
    return groups;
  }
}
