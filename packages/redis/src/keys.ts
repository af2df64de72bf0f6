import { ConfigurationError } from '@millrace/core';

/**
 * Where everything is. `P` stands for the prefix of the broker, `Q` for `P:{queue}`: what belongs to a queue lies in one
 * slot of a cluster, and no script touches two. The scripts compute the keys of a queue from `Q` (see `lua/record.lua`).
 *
 * | key | type | what is in it |
 * |---|---|---|
 * | `P:layout` | string | version of this table |
 * | `P:queues` | set | names of all queues |
 * | `P:id:<id>` | string | a lock while a task whose id the caller chose is looked for in all queues; expires by itself |
 * | `Q:task` | hash | id → content of the task |
 * | `Q:run` | hash | id → what its runs have made of it; absent until the first claim |
 * | `Q:more` | hash | letter + id → output (`o`), progress (`g`), checkpoint (`k`), errors (`e`), log (`l`) |
 * | `Q:meta` | hash | sequence, fence, counts by state (`done`, `dead`: ended), of void places in `Q:fresh:…` and of ids in `Q:unlisted`, largest content, `stopped` when paused, until when somebody sleeps or waits |
 * | `Q:key` | hash | unique key → id of the task that has it |
 * | `Q:index` | sorted set | ids in the order of their bytes, for listings |
 * | `Q:unlisted` | list | ids that are not in the index yet, one or, after a zero byte, a batch each; a listing moves them there |
 * | `Q:names` | set | names of tasks that had a line |
 * | `Q:fresh:<name>` | list | tasks of one name, of usual priority, that were due when enqueued and not touched since, up to ten in an entry |
 * | `Q:ready:<name>` | sorted set | all other due tasks of one name, in the order they are claimed |
 * | `Q:later`, `Q:backoff` | sorted set | pending and retrying tasks by due time |
 * | `Q:paused` | set | paused tasks |
 * | `Q:expiry` | sorted set | waiting tasks that must start in time, by that instant |
 * | `Q:done`, `Q:dead` | sorted set | ended tasks by when they ended, one or, after a zero byte, those that one settle completed |
 * | `Q:session` | sorted set | sessions that claimed from this queue, by the end of their lease |
 * | `Q:worker` | hash | session → its instance and host, for the runs of the tasks it holds |
 * | `Q:held:<session>` | hash | tasks a session runs, see `lua/held.lua` |
 * | `Q:stop:<session>` | set | of its tasks, the ones that shall stop |
 * | `Q:asleep` | sorted set | claims that sleep and may be given a task, by until when, see `lua/give.lua` |
 * | `Q:work`, `Q:stop`, `Q:ended` | channel | something is due; a session shall look at its stops; tasks have ended |
 * | `Q:given:<listener>` | channel | a task that was given to a claim of that broker |
 */
export class Keys {
  readonly prefix: string;
  readonly layout: string;
  /** Names of all queues. */
  readonly queues: string;

  constructor(prefix: string) {
    this.prefix = prefix;
    this.layout = `${prefix}:layout`;
    this.queues = `${prefix}:queues`;
  }

  /** `Q`. The tag is the queue's name, with the braces that would end it early written otherwise. */
  queue(queue: string): string {
    return `${this.prefix}:{${queue.replaceAll(/[{}%]/g, encodeURIComponent)}}`;
  }

  /** The lock of an id. */
  id(id: string): string {
    return `${this.prefix}:id:${id}`;
  }
}

/** Channels of a queue, given its base key. */
export const channels: Readonly<
  Record<'work' | 'stop' | 'ended' | 'given', (queueKey: string, listener: string) => string>
> = {
  work: (queueKey) => `${queueKey}:work`,
  stop: (queueKey) => `${queueKey}:stop`,
  ended: (queueKey) => `${queueKey}:ended`,
  given: (queueKey, listener) => `${queueKey}:given:${listener}`,
};

/** @throws ConfigurationError */
export function requirePrefix(prefix: string): string {
  if (!/[{}]/.test(prefix)) return prefix;
  throw new ConfigurationError('prefix must not hold braces: they would put every queue into one slot of a cluster', {
    option: 'prefix',
  });
}
