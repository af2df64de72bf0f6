import { ConfigurationError, isMillraceError, type MillraceError } from '@millrace/core';
import { sleep } from '@millrace/core/adapter';
import { blank } from './blank.ts';
import { delayEntry, delayKey, longestPassMs } from './cascade.ts';
import { unavailable } from './errors.ts';
import { encodeMessage, type TaskMessage } from './message.ts';
import type { AmqpSettings } from './options.ts';
import type { Outgoing, Publisher } from './publisher.ts';
import { readThin } from './thin-message.ts';
import type { Topology } from './topology.ts';

/** A task and where it goes: to its queue, at once or after a delay, or to the dead. */
export interface Parcel {
  readonly message: TaskMessage;
  /** The logical queue that takes it; the message may come from a producer that knows it under another name. */
  readonly queue: string;
  /** Milliseconds, or `dead`. */
  readonly delayMs: number | 'dead';
}

/** Ends a task that a guard holds and nobody can run. Resolves to why it may not have ended. */
export type EndHeldTask = (taskId: string) => Promise<MillraceError | undefined>;

type Problem = MillraceError | 'returned' | undefined;

const isReturned = (problem: Problem): boolean => problem === 'returned';
const isRefused = (problem: Problem): boolean =>
  isMillraceError(problem, 'BACKPRESSURE') && problem.reason === 'queue-full';

/** A quorum queue that was just made, or that chooses a new leader, refuses messages for a moment. */
const queueBeginsMs = [50, 100, 200] as const;

/** Sends tasks on their way, and makes again what they could not be routed to. */
export class Carrier {
  readonly #topology: Topology;
  readonly #publisher: Publisher;
  readonly #settings: AmqpSettings;
  readonly #endHeld: EndHeldTask | undefined;

  constructor(topology: Topology, publisher: Publisher, settings: AmqpSettings, endHeld?: EndHeldTask) {
    this.#topology = topology;
    this.#publisher = publisher;
    this.#settings = settings;
    this.#endHeld = endHeld;
  }

  /** Whether thin messages can be told what they bring. */
  get isGuarded(): boolean {
    return this.#endHeld !== undefined;
  }

  /**
   * Per parcel: `undefined` when the server has it, else why not. Never rejects; an error that is `UNAVAILABLE` or
   * `BACKPRESSURE` means that nothing was sent.
   */
  async send(op: string, parcels: readonly Parcel[]): Promise<(MillraceError | undefined)[]> {
    const ended = await this.#endAll(parcels);
    if (ended !== undefined) return ended;
    const problems = await this.#sendOnce(op, parcels);
    if (problems.every((problem) => problem === undefined)) return problems as undefined[];
    await this.#again(op, parcels, problems, isReturned, (again) => this.#repair(op, again));
    for (const pauseMs of queueBeginsMs) {
      await this.#again(op, parcels, problems, isRefused, async () => {
        await sleep(pauseMs, undefined, this.#settings.clock);
        return undefined;
      });
    }
    return problems.map((problem, index) =>
      problem === 'returned' ? unroutable(op, parcels[index] as Parcel) : problem,
    );
  }

  /** A message that dies alone would leave its task waiting: that ends instead. */
  async #endAll(parcels: readonly Parcel[]): Promise<(MillraceError | undefined)[] | undefined> {
    const endHeld = this.#endHeld;
    if (endHeld === undefined || parcels.some(({ delayMs }) => delayMs !== 'dead')) return undefined;
    const brought = parcels.map(({ message }) => readThin(message.headers));
    if (brought.length === 0 || brought.includes(undefined)) return undefined;
    return Promise.all(brought.map((task) => endHeld((task as { readonly id: string }).id)));
  }

  /** Sends those again that ended in a certain way, after something was done about it. */
  async #again(
    op: string,
    parcels: readonly Parcel[],
    problems: Problem[],
    ended: (problem: Problem) => boolean,
    prepare: (again: readonly Parcel[]) => Promise<MillraceError | undefined>,
  ): Promise<void> {
    const indexes = [...problems.keys()].filter((index) => ended(problems[index]));
    if (indexes.length === 0) return;
    const again = indexes.map((index) => parcels[index] as Parcel);
    const obstacle = await prepare(again);
    const second = obstacle === undefined ? await this.#sendOnce(op, again) : again.map(() => obstacle);
    second.forEach((problem, position) => {
      problems[indexes[position] as number] = problem;
    });
  }

  /** Sends a message as it is to the dead, because nobody can read it. */
  async bury(op: string, message: Omit<Outgoing, 'exchange' | 'key'>): Promise<MillraceError | undefined> {
    const outgoing = { ...message, exchange: '', key: this.#topology.deadQueue, foreign: true } as const;
    try {
      let [outcome] = await this.#publisher.publish(op, [outgoing]);
      if (outcome === 'returned') {
        await this.#topology.repair(op, undefined);
        [outcome] = await this.#publisher.publish(op, [outgoing]);
      }
      if (outcome === 'confirmed') return undefined;
      return isMillraceError(outcome) ? outcome : unavailable(op, 'there is no queue for dead tasks');
    } catch (error) {
      return asMillrace(op, error);
    }
  }

  /** Sends blanks to a queue. They may not have arrived when it resolves. Never rejects. */
  async sendBlanks(op: string, queue: string, count: number): Promise<void> {
    const key = this.#topology.nameOf(queue);
    const blanks = Array.from({ length: count }, (): Outgoing => ({ exchange: '', key, ...blank }));
    await this.#publisher.publish(op, blanks).catch(() => {});
  }

  async #sendOnce(op: string, parcels: readonly Parcel[]): Promise<Problem[]> {
    try {
      let ensured: string | undefined;
      for (const { queue } of parcels) {
        if (queue !== ensured) await this.#topology.ensure(op, queue);
        ensured = queue;
      }
      const outcomes = await this.#publisher.publish(
        op,
        parcels.map((parcel) => this.#address(parcel)),
      );
      return outcomes.map((outcome) => (outcome === 'confirmed' ? undefined : outcome));
    } catch (error) {
      const problem = asMillrace(op, error);
      return parcels.map(() => problem);
    }
  }

  async #repair(op: string, parcels: readonly Parcel[]): Promise<MillraceError | undefined> {
    try {
      if (parcels.some(({ delayMs }) => delayMs === 'dead')) await this.#topology.repair(op, undefined);
      for (const queue of new Set(parcels.map((parcel) => parcel.queue))) await this.#topology.repair(op, queue);
      return undefined;
    } catch (error) {
      return asMillrace(op, error);
    }
  }

  #address({ message, queue, delayMs }: Parcel): Outgoing {
    if (delayMs === 'dead') {
      const { content, options } = encodeMessage(message);
      const { deadRetentionMs } = this.#settings;
      const expiring = deadRetentionMs === null ? options : { ...options, expiration: String(deadRetentionMs) };
      return { exchange: '', key: this.#topology.deadQueue, content, options: expiring };
    }
    const fresh = message.waitMs === undefined ? message : withoutWait(message);
    const name = this.#topology.nameOf(queue);
    if (delayMs > 0) {
      // A very long delay goes through the cascade more than once; what is left of it travels with the message.
      const waitMs = delayMs - longestPassMs;
      const encoded = encodeMessage(waitMs > 0 ? { ...fresh, waitMs } : fresh);
      return { exchange: delayEntry(this.#topology.queueType), key: delayKey(delayMs, name), ...encoded };
    }
    const { exchange } = this.#settings;
    if (exchange === undefined) {
      return { exchange: '', key: name, ...encodeMessage(fresh, { direct: this.#topology.isNamedAfter(queue) }) };
    }
    return { exchange: exchange.name, key: exchange.routingKey(queue), ...encodeMessage(fresh) };
  }
}

function withoutWait({ waitMs: _waited, ...message }: TaskMessage): TaskMessage {
  return message;
}

function unroutable(op: string, { queue }: Parcel): ConfigurationError {
  return new ConfigurationError(
    `${op}: no queue takes tasks of queue '${queue}'; check the exchange's type and the binding keys`,
    { op, adapter: 'amqp', reason: 'unroutable' },
  );
}

function asMillrace(op: string, error: unknown): MillraceError {
  return isMillraceError(error)
    ? error
    : unavailable(op, error instanceof Error ? error.message : String(error), error);
}
