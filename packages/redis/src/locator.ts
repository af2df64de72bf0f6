import { allParts } from '@millrace/core/adapter';
import type { QueueRegistry } from './queue-registry.ts';

/** Most ids whose queue is remembered. */
const mostHints = 20_000;
/** Most ids in one call of a script. */
const mostInCall = 250;

/** What a queue answers for ids, in their order; `undefined` for those that are not there. */
export type AskQueue<T> = (queue: string, ids: readonly string[]) => Promise<readonly (T | undefined)[]>;

/**
 * Finds tasks by id alone. No key says in which queue a task is, because that key would lie in another slot and could
 * contradict it: the queues themselves are asked, the likely one first.
 */
export class Locator {
  readonly #registry: QueueRegistry;
  readonly #hints = new Map<string, string>();

  constructor(registry: QueueRegistry) {
    this.#registry = registry;
  }

  /** Where tasks were seen. With a single queue there is nothing to remember. */
  note(ids: readonly string[], queue: string): void {
    if (this.#registry.known.length < 2) return;
    for (const id of ids) this.#hints.set(id, queue);
    for (const id of this.#hints.keys()) {
      if (this.#hints.size <= mostHints) return;
      this.#hints.delete(id);
    }
  }

  /** Asks for ids until each is found or every queue has been asked; or until the caller gives up between two rounds. */
  async ask<T>(
    ids: readonly string[],
    op: string,
    ask: AskQueue<T>,
    givesUp: () => boolean = () => false,
  ): Promise<Map<string, T>> {
    const found = new Map<string, T>();
    let open = [...new Set(ids)];
    const askedAll = new Set<string>();
    const askIn = async (queue: string, wanted: readonly string[]): Promise<void> => {
      for (let from = 0; from < wanted.length; from += mostInCall) {
        const part = wanted.slice(from, from + mostInCall);
        const answers = await ask(queue, part);
        const here = part.filter((_id, index) => answers[index] !== undefined);
        for (const [index, id] of part.entries()) {
          const answer = answers[index];
          if (answer !== undefined) found.set(id, answer);
        }
        this.note(here, queue);
      }
    };
    const askEverywhere = async (queues: readonly string[]): Promise<void> => {
      const wanted = open;
      await allParts(queues.map((queue) => askIn(queue, wanted)));
      for (const queue of queues) askedAll.add(queue);
      open = open.filter((id) => !found.has(id));
    };
    const hinted = groupBy(open, (id) => this.#hints.get(id));
    await allParts([...hinted].flatMap(([queue, wanted]) => (queue === undefined ? [] : askIn(queue, wanted))));
    open = open.filter((id) => !found.has(id));
    if (open.length > 0) await askEverywhere(this.#registry.known);
    if (open.length > 0 && !givesUp()) {
      const all = await this.#registry.read(op);
      await askEverywhere(all.filter((queue) => !askedAll.has(queue)));
    }
    return found;
  }
}

function groupBy<K, T>(items: readonly T[], keyOf: (item: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return groups;
}
