import { randomUUID } from 'node:crypto';
import type { Clock, TimerHandle } from '@millrace/core';
import type { ConsumeMessage, GetMessage } from 'amqplib';
import type { Held } from './held.ts';
import type { Line } from './line.ts';
import { encodeMessage } from './message.ts';
import type { Publisher } from './publisher.ts';
import type { Topology } from './topology.ts';

/** What renewal needs of a session. */
export interface RenewalOptions {
  readonly sessionId: string;
  readonly topology: Topology;
  readonly publisher: Publisher;
  readonly clock: Clock;
  /** The server's limit of how long a delivery may stay out. */
  readonly timeoutMs: number;
  readonly heldTasks: () => Iterable<Held>;
}

const ticketHeader = 'x-millrace-renewal';
/** Share of the timeout after which a delivery is renewed; two tries fit before it strikes. */
const renewShare = 0.4;
const lookShare = 0.1;

/**
 * RabbitMQ takes a delivery back that is out for too long (30 minutes), and before 3.12 that cannot be set per queue.
 * So a task that runs long is handed from delivery to delivery: a copy goes through a private queue and comes back as a
 * new delivery, and the old one is acknowledged. When the worker dies, the copy has expired and goes to the task's own
 * queue at once.
 */
export class Renewal {
  readonly #options: RenewalOptions;
  readonly #queues = new Map<Line, Promise<string>>();
  readonly #tickets = new Map<string, (deliveryTag: number) => void>();
  #timer: TimerHandle | undefined;
  #over = false;

  constructor(options: RenewalOptions) {
    this.#options = options;
    this.#schedule();
  }

  stop(): void {
    this.#over = true;
    if (this.#timer !== undefined) this.#options.clock.clearTimer(this.#timer);
  }

  #schedule(): void {
    if (this.#over) return;
    const { clock, timeoutMs } = this.#options;
    this.#timer = clock.setTimer(() => {
      this.#renewDue();
      this.#schedule();
    }, timeoutMs * lookShare);
  }

  #renewDue(): void {
    const { clock, timeoutMs, heldTasks } = this.#options;
    const now = clock.monotonic();
    for (const held of heldTasks()) {
      if (held.settling || held.renewing !== undefined || now - held.since < timeoutMs * renewShare) continue;
      held.renewing = this.#renew(held)
        // Tried again at the next look; if nothing helps, the server takes the task back and the session is lost.
        .catch(() => {})
        .finally(() => {
          held.renewing = undefined;
        });
    }
  }

  async #renew(held: Held): Promise<void> {
    const { clock, publisher } = this.#options;
    const queue = await this.#queueOf(held.line);
    const since = clock.monotonic();
    const { message, lease } = held;
    // Should it come back by itself, its run counts as lost.
    const { content, options } = encodeMessage({ ...message, attempt: lease.attempt, fence: lease.fence });
    const ticket = randomUUID();
    const arrived = new Promise<number>((resolve) => this.#tickets.set(ticket, resolve));
    const headers = { ...options.headers, [ticketHeader]: ticket };
    const [outcome] = await publisher.publish('session.renew', [
      { exchange: '', key: queue, content, options: { ...options, headers } },
    ]);
    if (outcome !== 'confirmed') {
      this.#tickets.delete(ticket);
      if (outcome === 'returned') this.#queues.delete(held.line);
      return;
    }
    const old = held.tag;
    held.tag = await arrived;
    held.since = since;
    await held.line.acknowledge([old]);
  }

  #queueOf(line: Line): Promise<string> {
    let queue = this.#queues.get(line);
    if (queue === undefined) {
      queue = this.#open(line);
      this.#queues.set(line, queue);
      queue.catch(() => this.#queues.delete(line));
    }
    return queue;
  }

  async #open(line: Line): Promise<string> {
    const { topology, sessionId } = this.#options;
    const queue = await topology.ensureHolding('session.renew', line.queue, sessionId);
    await line.subscribeTo(queue, (copy) => this.#arrived(line, copy));
    return queue;
  }

  #arrived(line: Line, { fields, properties }: ConsumeMessage | GetMessage): void {
    const ticket = String(properties.headers?.[ticketHeader]);
    const waiting = this.#tickets.get(ticket);
    this.#tickets.delete(ticket);
    // A copy nobody waits for: its confirm was lost, and the delivery it should replace is still out.
    if (waiting === undefined) void line.acknowledge([fields.deliveryTag]);
    else waiting(fields.deliveryTag);
  }
}
