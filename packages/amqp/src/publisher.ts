import { BackpressureError, type Clock, isMillraceError, type MillraceError } from '@millrace/core';
import type { Options } from 'amqplib';
import type { AmqpConnection } from './connection.ts';
import { indeterminate, unavailable } from './errors.ts';
import type { Link, Live } from './link.ts';

/** A message and where it goes. */
export interface Outgoing {
  readonly exchange: string;
  readonly key: string;
  /** Text is sent as UTF-8. */
  readonly content: Buffer | string;
  readonly options: Options.Publish;
  /** Somebody else made it: it may have properties and headers that ours never have. */
  readonly foreign?: true;
}

/**
 * `confirmed`: the server has it. `returned`: no queue takes that key. An error: `BackpressureError` when the queue is
 * full, `UnavailableError` when it was not sent, `IndeterminateError` when nobody knows.
 */
export type Published = 'confirmed' | 'returned' | MillraceError;

/** A piece of memory for the socket; a larger one would only keep the server waiting for the first message in it. */
const longestPiece = 262_144;

/** Publishes with confirms, and knows of each message what became of it. */
export class Publisher {
  readonly #link: Link;
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  /** Ids of messages that came back and whose confirm is about to. */
  readonly #returned = new WeakMap<AmqpConnection, Set<string>>();

  constructor(link: Link, clock: Clock, timeoutMs: number) {
    this.#link = link;
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
  }

  /** Outcomes in the order given. @throws UnavailableError BackpressureError ClosedError, all before anything is sent */
  async publish(op: string, messages: readonly Outgoing[]): Promise<Published[]> {
    if (messages.length === 0) return [];
    const live = await this.#link.require(op);
    if (live.connection.blocked) throw blockedError(op);
    const returned = this.#returnedOn(live);
    return new Promise((resolve) => {
      const outcomes: (Published | undefined)[] = new Array(messages.length).fill(undefined);
      let open = messages.length;
      let finished = false;
      const finish = (): void => {
        if (finished) return;
        finished = true;
        this.#clock.clearTimer(timer);
        resolve(outcomes.map((outcome) => outcome ?? lost(op, live.connection)));
      };
      const timer = this.#clock.setTimer(
        () => {
          finish();
          // Its answers can no longer be told apart from those to later calls. A blocked one answers in its own time.
          if (!live.connection.blocked) live.connection.destroy(new Error('the server did not confirm in time'));
        },
        this.#timeoutMs,
        { keepAlive: true },
      );
      const settle = (index: number, outcome: Published): void => {
        outcomes[index] ??= outcome;
        open -= 1;
        if (open === 0) finish();
      };
      this.#write(live, messages, (index, error) => {
        settle(index, this.#outcomeOf(op, error, messages[index]?.options.messageId, returned, live));
      });
    });
  }

  /** Sends as much as possible in one piece. `confirmed` is called once for each message. */
  #write(live: Live, messages: readonly Outgoing[], confirmed: (index: number, error: unknown) => void): void {
    const { publishing, frames, send } = live;
    let waiting: number[] = [];
    const flush = (): void => {
      const indexes = waiting;
      if (indexes.length === 0) return;
      waiting = [];
      try {
        send(
          frames.take(),
          indexes.map((index) => (error: unknown) => confirmed(index, error)),
        );
      } catch (error) {
        for (const index of indexes) confirmed(index, unavailable('publish', 'the connection was lost', error));
      }
    };
    messages.forEach((message, index) => {
      try {
        if (message.foreign === true) {
          flush();
          const { exchange, key, content, options } = message;
          publishing.publish(exchange, key, Buffer.from(content), options, (error: unknown) => confirmed(index, error));
          return;
        }
        frames.add(message);
      } catch (error) {
        confirmed(index, unavailable('publish', 'it could not be sent', error));
        return;
      }
      waiting.push(index);
      if (frames.length >= longestPiece) flush();
    });
    flush();
  }

  #returnedOn(live: Live): Set<string> {
    let returned = this.#returned.get(live.connection);
    if (returned === undefined) {
      const ids = new Set<string>();
      live.publishing.on('return', (message) => ids.add(String(message.properties.messageId)));
      this.#returned.set(live.connection, ids);
      returned = ids;
    }
    return returned;
  }

  #outcomeOf(op: string, error: unknown, id: string | undefined, returned: Set<string>, live: Live): Published {
    if (error === null || error === undefined) {
      return returned.size > 0 && returned.delete(id ?? '') ? 'returned' : 'confirmed';
    }
    if (isMillraceError(error)) return error;
    if ((error as Error).message === 'message nacked') {
      return new BackpressureError(`${op}: the queue is full or not available; try again later`, {
        op,
        adapter: 'amqp',
        reason: 'queue-full',
      });
    }
    return lost(op, live.connection);
  }
}

function lost(op: string, connection: AmqpConnection): MillraceError {
  const why = connection.blocked ? 'the server is short of memory or disk and does not answer' : undefined;
  return indeterminate(op, why ?? connection.ended?.message ?? 'the server did not confirm in time', connection.ended);
}

function blockedError(op: string): BackpressureError {
  return new BackpressureError(`${op}: the server is short of memory or disk and takes no messages for now`, {
    op,
    adapter: 'amqp',
    reason: 'blocked',
  });
}
