import { randomBytes } from 'node:crypto';
import { channels, type Keys } from './keys.ts';
import type { Subscriber } from './subscriber.ts';

/** What happens when something is told. `undefined` stands for all of them. */
export interface Listeners {
  readonly onWork: (queue: string | undefined) => void;
  readonly onStop: (session: string | undefined) => void;
  readonly onEnded: (taskIds: readonly string[] | undefined) => void;
  /** A task given to a claim that sleeps: what give.lua writes. */
  readonly onGiven: (queue: string | undefined, text: string) => void;
}

type Kind = keyof typeof channels;

const kindsOfWork: readonly Kind[] = ['work', 'stop', 'given'];

/**
 * Hears what the scripts tell: of work, of stops, of ends, of tasks that were given away. Whoever misses a hint finds out
 * by polling; whoever misses a task, by asking the server what it holds.
 */
export class Notifier {
  /** The last part of the channel of this broker alone. */
  readonly id: string = randomBytes(12).toString('base64url');
  readonly #keys: Keys;
  readonly #listeners: Listeners;
  readonly #subscriber: () => Subscriber;
  readonly #meanings = new Map<string, { readonly kind: Kind; readonly queue: string }>();

  constructor(keys: Keys, listeners: Listeners, subscriber: () => Subscriber) {
    this.#keys = keys;
    this.#listeners = listeners;
    this.#subscriber = subscriber;
  }

  /** Whether messages of work in these queues arrive. */
  hearsOfWork(queues: readonly string[]): boolean {
    return this.#subscriber().has(this.#channels(queues, kindsOfWork));
  }

  /** Whether messages of ends in these queues arrive. */
  hearsOfEnds(queues: readonly string[]): boolean {
    return this.#subscriber().has(this.#channels(queues, ['ended']));
  }

  listenForWork(queues: readonly string[]): Promise<void> {
    return this.#subscriber().listen(this.#channels(queues, kindsOfWork));
  }

  listenForEnds(queues: readonly string[]): Promise<void> {
    return this.#subscriber().listen(this.#channels(queues, ['ended']));
  }

  receive(channel: string, message: string): void {
    const meaning = this.#meanings.get(channel);
    if (meaning === undefined) return;
    const { onWork, onStop, onEnded, onGiven } = this.#listeners;
    if (meaning.kind === 'work') onWork(meaning.queue);
    else if (meaning.kind === 'given') onGiven(meaning.queue, message);
    else if (meaning.kind === 'stop') onStop(message);
    else onEnded(parseIds(message));
  }

  /** Messages may have been missed. */
  missed(): void {
    const { onWork, onStop, onEnded, onGiven } = this.#listeners;
    onGiven(undefined, '');
    onWork(undefined);
    onStop(undefined);
    onEnded(undefined);
  }

  #channels(queues: readonly string[], kinds: readonly Kind[]): string[] {
    return queues.flatMap((queue) => {
      const queueKey = this.#keys.queue(queue);
      return kinds.map((kind) => {
        const channel = channels[kind](queueKey, this.id);
        this.#meanings.set(channel, { kind, queue });
        return channel;
      });
    });
  }
}

function parseIds(text: string): readonly string[] | undefined {
  try {
    const ids: unknown = JSON.parse(text);
    return Array.isArray(ids) ? ids.map(String) : undefined;
  } catch {
    return undefined;
  }
}
