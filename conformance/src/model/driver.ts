import {
  type Broker,
  type Capabilities,
  isMillraceError,
  type QueueStats,
  type SessionSignal,
  type TaskFilter,
  type TaskStore,
} from '@millrace/core';
import { Client } from '../context/client.ts';
import type { BrokerHarness, Target } from '../harness.ts';
import { Hands } from './hands.ts';
import { Naming } from './naming.ts';
import type { ModelOperation, ModelOutcome } from './operation.ts';
import { type TimeMachine, timeMachineOf } from './time-machine.ts';

/** Does to a real broker what programs say, and puts what it answers into the words of the model. */
export class Driver {
  /** Time is virtual, and moments are exact. */
  readonly exact: boolean;
  readonly time: TimeMachine;
  readonly #harness: BrokerHarness;
  readonly #namespace: string;
  /** For everything but sessions. */
  #main: Broker<unknown>;
  /** For the sessions of all programs, unless each has a client of its own. */
  readonly #crew: Client | undefined;
  #naming = new Naming('');
  #hands: Hands;
  #ttlMs = 1_000;

  constructor(harness: BrokerHarness, namespace: string) {
    this.#harness = harness;
    this.#namespace = namespace;
    this.time = timeMachineOf(harness, namespace);
    this.exact = this.time.kind === 'virtual';
    this.#main = this.#harness.connect(this.#target());
    const place = { url: harness.url ?? '', namespace };
    this.#crew = this.time.kind === 'wall' ? new Client(harness, place, this.time.clock) : undefined;
    this.#hands = this.#newHands();
  }

  open(): Promise<Capabilities> {
    return this.#main.open();
  }

  /** Begins a program. The prefix keeps it apart from those before it. */
  async begin(prefix: string): Promise<void> {
    await this.#hands.close();
    this.#naming = new Naming(prefix);
    this.#hands = this.#newHands();
  }

  signalsOf(session: string): readonly SessionSignal[] {
    return this.#hands.signalsOf(session);
  }

  isLost(session: string): boolean {
    return this.#hands.isLost(session);
  }

  async run(operation: ModelOperation): Promise<ModelOutcome> {
    try {
      return await this.#execute(operation);
    } catch (error) {
      if (isMillraceError(error)) return { type: 'error', code: error.code, message: error.message };
      return { type: 'error', code: 'other', message: error instanceof Error ? `${error.stack}` : String(error) };
    }
  }

  /** Closes all clients and drops the namespace. */
  async close(): Promise<void> {
    await this.#hands.close();
    await this.#crew?.close().catch(() => {});
    await this.#main.close().catch(() => {});
    await this.#harness.drop(this.#target());
  }

  async #execute(operation: ModelOperation): Promise<ModelOutcome> {
    const naming = this.#naming;
    switch (operation.type) {
      case 'enqueue': {
        const outcomes = await this.#main.enqueue(operation.tasks.map((task) => naming.task(task)));
        return { type: 'enqueue', outcomes: outcomes.map((outcome) => naming.bareOutcome(outcome)) };
      }
      case 'control':
        return this.#control(operation);
      case 'get': {
        const records = await this.#tasks().get(operation.ids.map((id) => naming.real(id)));
        return { type: 'get', records: records.map((record) => naming.bareRecord(record)) };
      }
      case 'count':
        return { type: 'count', count: await this.#tasks().count(naming.filter(operation.filter)) };
      case 'list':
        return { type: 'list', ids: await this.#listAll(naming.filter(operation.filter), operation.limit) };
      case 'maintain':
        return { type: 'maintain', report: await this.#main.maintain({ maxTasks: 100_000 }) };
      case 'advance':
        await this.time.advance(operation.ms, this.#target(), this.#ttlMs);
        return { type: 'done' };
      case 'reopen':
        return this.#reopen();
      case 'queuePause':
      case 'queueResume':
      case 'queuePurge':
      case 'queueStats':
        return this.#queue(operation.type, naming.real(operation.queue));
      default:
        if (operation.type === 'openSession') this.#ttlMs = operation.ttlMs;
        return this.#hands.run(operation, this.time);
    }
  }

  async #control(operation: Extract<ModelOperation, { readonly type: 'control' }>): Promise<ModelOutcome> {
    const ids = operation.ids.map((id) => this.#naming.real(id));
    const tasks = this.#tasks();
    const answer =
      operation.control === 'reschedule'
        ? tasks.reschedule(ids, operation.due)
        : operation.control === 'update'
          ? tasks.update(ids, operation.changes)
          : tasks[operation.control](ids);
    return { type: 'control', outcomes: await answer };
  }

  async #queue(type: 'queuePause' | 'queueResume' | 'queuePurge' | 'queueStats', queue: string): Promise<ModelOutcome> {
    const { queues } = this.#main;
    if (type === 'queuePurge') return { type: 'count', count: await queues.purge(queue) };
    if (type === 'queueStats') {
      const none: QueueStats = { queue, paused: false };
      const [stats = none] = await queues.stats([queue]);
      return { type: 'queueStats', stats: { ...stats, queue: this.#naming.bare(stats.queue) } };
    }
    await (type === 'queuePause' ? queues.pause(queue) : queues.resume(queue));
    return { type: 'done' };
  }

  async #reopen(): Promise<ModelOutcome> {
    await this.#main.close();
    this.#main = this.#harness.connect(this.#target());
    await this.#main.open();
    return { type: 'done' };
  }

  async #listAll(filter: TaskFilter, limit: number): Promise<string[]> {
    const ids: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await this.#tasks().list(filter, { limit, ...(cursor !== undefined && { cursor }) });
      if (page.tasks.length > limit) throw new RangeError(`a page of at most ${limit} has ${page.tasks.length} tasks`);
      ids.push(...page.tasks.map((task) => this.#naming.bare(task.id)));
      cursor = page.cursor;
      if (ids.length > 10_000) throw new RangeError('a listing of a few tasks does not end');
    } while (cursor !== undefined);
    return ids;
  }

  #tasks(): TaskStore {
    const { tasks } = this.#main;
    if (tasks === undefined) throw new TypeError('the broker has no task store, although it claims operations of one');
    return tasks;
  }

  #newHands(): Hands {
    const place = { harness: this.#harness, namespace: this.#namespace, clock: this.time.clock };
    return new Hands(place, this.#naming, this.#crew);
  }

  #target(): Target {
    return { url: this.#harness.url ?? '', namespace: this.#namespace, clock: this.time.clock };
  }
}
