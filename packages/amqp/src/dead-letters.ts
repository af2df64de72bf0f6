import type { Capabilities, TaskError } from '@millrace/core';
import { checkInteger, checkKnownOptions, checkName, sleep } from '@millrace/core/adapter';
import type { Channel, GetMessage } from 'amqplib';
import type { Carrier } from './carrier.ts';
import { explainRefusal } from './errors.ts';
import type { Link } from './link.ts';
import { decodeMessage, type TaskMessage } from './message.ts';
import type { Topology } from './topology.ts';

/** A dead task as it lies in the dead queue. */
export interface DeadTask {
  /** Absent when the message was no task at all. */
  readonly task?: TaskMessage;
  readonly queue: string;
  /** Kind of the failure: `error`, `timeout`, `lost`, `expired`, `invalid`, `unregistered`. */
  readonly failure: string;
  readonly errors: readonly TaskError[];
  /** Why a message was no task. */
  readonly problem?: string;
}

/** Dead tasks, oldest first. */
export interface DeadPage {
  readonly tasks: readonly DeadTask[];
  /** How many there are in all. */
  readonly total: number;
}

/** Which dead tasks; all that match. Nothing given means all. */
export interface DeadSelection {
  readonly ids?: readonly string[];
  readonly queue?: string;
}

/** What dead letters need of the broker. */
export interface DeadLettersOptions {
  readonly link: Link;
  readonly topology: Topology;
  readonly carrier: Carrier;
  readonly requireOpen: (op: string) => Capabilities;
}

/** Somebody else may have removed some of it meanwhile. */
const longestGiveBackMs = 1_000;

interface Visited {
  readonly raw: GetMessage;
  readonly dead: DeadTask;
}

/**
 * The queue of tasks that failed for good. RabbitMQ can only be walked from the front: finding one among many reads
 * those before it. While it is walked, others do not see what was read.
 */
export class DeadLetters {
  readonly #options: DeadLettersOptions;

  constructor(options: DeadLettersOptions) {
    this.#options = options;
  }

  /** The oldest dead tasks, at most `limit` (default 100, at most 10,000). They stay where they are. */
  async list(options: DeadSelection & { readonly limit?: number } = {}): Promise<DeadPage> {
    checkKnownOptions(options, ['ids', 'queue', 'limit'], 'dead.list');
    const limit = checkInteger(options.limit ?? 100, 'limit', 1, 10_000);
    const tasks: DeadTask[] = [];
    const total = await this.#walk('dead.list', options, async ({ dead }) => {
      tasks.push(dead);
      return tasks.length < limit ? 'keep' : 'stop';
    });
    return { tasks, total };
  }

  /** Sends dead tasks to their queues again: attempts start at 1, the fence grows. Returns how many. */
  async rerun(selection: DeadSelection): Promise<number> {
    checkKnownOptions(selection, ['ids', 'queue'], 'dead.rerun');
    let count = 0;
    await this.#walk('dead.rerun', selection, async ({ dead }) => {
      if (dead.task === undefined) return 'keep';
      const { failure: _failure, diedAt: _diedAt, expiresAt: _expired, passed: _passed, ...task } = dead.task;
      const message = { ...task, attempt: 0 };
      const [problem] = await this.#options.carrier.send('dead.rerun', [{ message, queue: dead.queue, delayMs: 0 }]);
      if (problem !== undefined) throw problem;
      count += 1;
      return 'remove';
    });
    return count;
  }

  /** Removes dead tasks for good. Returns how many. */
  async purge(selection: DeadSelection = {}): Promise<number> {
    checkKnownOptions(selection, ['ids', 'queue'], 'dead.purge');
    let count = 0;
    await this.#walk('dead.purge', selection, async () => {
      count += 1;
      return 'remove';
    });
    return count;
  }

  /** Visits what is there now, from the front. Returns how many there were. */
  async #walk(
    op: string,
    { ids, queue }: DeadSelection,
    visit: (visited: Visited) => Promise<'keep' | 'remove' | 'stop'>,
  ): Promise<number> {
    this.#options.requireOpen(op);
    if (queue !== undefined) checkName(queue, 'queue');
    for (const id of ids ?? []) checkName(id, 'ids');
    const { link, topology } = this.#options;
    const name = topology.deadQueue;
    try {
      return await link.withChannel(op, async (channel) => {
        const { messageCount } = await channel.checkQueue(name);
        let removed = 0;
        for (let index = 0; index < messageCount; index++) {
          const raw = await channel.get(name);
          if (raw === false) break;
          const dead = readDead(raw, this.#options.topology);
          const chosen =
            (ids === undefined || ids.includes(dead.task?.id ?? '')) && (queue ?? dead.queue) === dead.queue;
          const verdict = chosen ? await visit({ raw, dead }) : 'keep';
          if (verdict === 'remove') {
            channel.ack(raw);
            removed += 1;
          }
          if (verdict === 'stop') break;
        }
        channel.nackAll(true);
        await settled(channel);
        await givenBack(channel, name, messageCount - removed);
        return messageCount;
      });
    } catch (error) {
      throw explainRefusal(op, error, `queue ${name}`);
    }
  }
}

/** What was read is there again a moment after it was given back: a walk that follows must meet it. */
async function givenBack(channel: Channel, name: string, count: number): Promise<void> {
  const until = performance.now() + longestGiveBackMs;
  while ((await channel.checkQueue(name)).messageCount < count && performance.now() < until) await sleep(5);
}

/** The answer to a later call proves that what came before it has arrived. */
async function settled(channel: Channel): Promise<void> {
  await channel.prefetch(0);
}

function readDead(raw: GetMessage, topology: Topology): DeadTask {
  const headers = raw.properties.headers ?? {};
  const queue =
    headers['x-millrace-queue'] === undefined ? diedIn(headers, topology) : String(headers['x-millrace-queue']);
  try {
    const task = decodeMessage(raw, queue);
    // Dead-lettered by the server itself, at the limit of deliveries.
    const failure = task.failure ?? (headers['x-death'] === undefined ? 'invalid' : 'lost');
    return { task, queue: task.queue, failure, errors: task.errors };
  } catch (error) {
    const problem = String(headers['x-millrace-problem'] ?? (error as Error).message);
    return { queue, failure: 'invalid', errors: [], problem };
  }
}

/** Where a message lay that the server itself took to the dead. */
function diedIn(headers: Readonly<Record<string, unknown>>, topology: Topology): string {
  const [last] = Array.isArray(headers['x-death']) ? (headers['x-death'] as { readonly queue?: unknown }[]) : [];
  return typeof last?.queue === 'string' ? topology.queueAt(last.queue) : '';
}
