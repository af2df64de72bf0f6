import { channels, type Keys } from './keys.ts';
import type { Subscriber } from './subscriber.ts';

/** What happens when something is told. `undefined` stands for all of them. */
export interface Listeners {
  readonly onWork: (queue: string | undefined) => void;
  readonly onStop: (session: string | undefined) => void;
  readonly onEnded: (taskIds: readonly string[] | undefined) => void;
}

type Kind = keyof typeof channels;

/** Hears what the scripts tell: of work, of stops, of ends. A hint only: whoever misses one finds out by polling. */
export class Notifier {
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
    return this.#subscriber().has(this.#channels(queues, ['work', 'stop']));
  }

  /** Whether messages of ends in these queues arrive. */
  hearsOfEnds(queues: readonly string[]): boolean {
    return this.#subscriber().has(this.#channels(queues, ['ended']));
  }

  listenForWork(queues: readonly string[]): Promise<void> {
    return this.#subscriber().listen(this.#channels(queues, ['work', 'stop']));
  }

  listenForEnds(queues: readonly string[]): Promise<void> {
    return this.#subscriber().listen(this.#channels(queues, ['ended']));
  }

  receive(channel: string, message: string): void {
    const meaning = this.#meanings.get(channel);
    if (meaning === undefined) return;
    const { onWork, onStop, onEnded } = this.#listeners;
    if (meaning.kind === 'work') onWork(meaning.queue);
    else if (meaning.kind === 'stop') onStop(message);
    else onEnded(parseIds(message));
  }

  /** Messages may have been missed. */
  missed(): void {
    const { onWork, onStop, onEnded } = this.#listeners;
    onWork(undefined);
    onStop(undefined);
    onEnded(undefined);
  }

  #channels(queues: readonly string[], kinds: readonly Kind[]): string[] {
    return queues.flatMap((queue) => {
      const queueKey = this.#keys.queue(queue);
      return kinds.map((kind) => {
        const channel = channels[kind](queueKey);
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
