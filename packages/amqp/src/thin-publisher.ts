import { type Broker, type Clock, isMillraceError, type MillraceError } from '@millrace/core';
import { reconnectDelay, sleep } from '@millrace/core/adapter';
import { unavailable } from './errors.ts';
import { type Brought, thinMessage } from './thin-message.ts';

/** What is sent again at a time, and at most waits for it; what is beyond is left to the sweep. */
const mostAtOnce = 1_000;
const mostWaiting = 20_000;

/**
 * Sends the messages that bring tasks to workers. Those that may not have arrived are sent again as soon as RabbitMQ is
 * back; should this process end before, the sweep of another brings their tasks.
 */
export class ThinPublisher {
  readonly #messages: Broker;
  readonly #kind: string;
  readonly #clock: Clock;
  readonly #closed = new AbortController();
  readonly #underWay = new Set<Promise<unknown>>();
  #waiting: Brought[] = [];
  #again: Promise<void> | undefined;

  /** @param messages RabbitMQ alone. @param kind of the store that holds the tasks */
  constructor(messages: Broker, kind: string, clock: Clock) {
    this.#messages = messages;
    this.#kind = kind;
    this.#clock = clock;
  }

  /**
   * Per task: `undefined` when RabbitMQ has its message or will get it, else the error that refuses it for good. Never
   * rejects. At most `batch.maxEnqueue`.
   */
  async publish(tasks: readonly Brought[]): Promise<(MillraceError | undefined)[]> {
    const problems = await this.#publishOnce(tasks);
    const unsent = tasks.filter((_task, index) => mayPass(problems[index]));
    this.#waiting.push(...unsent.slice(0, mostWaiting - this.#waiting.length));
    if (this.#waiting.length > 0) this.#again ??= this.#sendAgain();
    return problems.map((problem) => (mayPass(problem) ? undefined : problem));
  }

  /** The same without waiting for it. */
  send(tasks: readonly Brought[]): void {
    const sending = this.publish(tasks);
    this.#underWay.add(sending);
    void sending.then(() => this.#underWay.delete(sending));
  }

  /** Sends nothing again. Everything sent so far has arrived or failed when it resolves. */
  async close(): Promise<void> {
    this.#closed.abort();
    await Promise.all([...this.#underWay, this.#again]);
  }

  async #sendAgain(): Promise<void> {
    for (let attempt = 1; this.#waiting.length > 0; ) {
      await sleep(reconnectDelay(attempt), this.#closed.signal, this.#clock);
      if (this.#closed.signal.aborted) break;
      const batch = this.#waiting.splice(0, mostAtOnce);
      const problems = await this.#publishOnce(batch);
      const unsent = batch.filter((_task, index) => mayPass(problems[index]));
      this.#waiting.unshift(...unsent);
      attempt = unsent.length > 0 ? attempt + 1 : 1;
    }
    this.#again = undefined;
  }

  async #publishOnce(tasks: readonly Brought[]): Promise<(MillraceError | undefined)[]> {
    if (tasks.length === 0) return [];
    try {
      const outcomes = await this.#messages.enqueue(tasks.map((task) => thinMessage(task, this.#kind)));
      return outcomes.map((outcome) => (outcome.status === 'rejected' ? outcome.error : undefined));
    } catch (error) {
      const problem = isMillraceError(error) ? error : unavailable('enqueue', (error as Error).message, error);
      return tasks.map(() => problem);
    }
  }
}

/** Whether it only has to be sent again. */
function mayPass(problem: MillraceError | undefined): boolean {
  return isMillraceError(problem, 'UNAVAILABLE') || isMillraceError(problem, 'INDETERMINATE');
}
