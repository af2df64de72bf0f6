import { createHash } from 'node:crypto';

/** A queue's name is a routing key behind six digits of a delay: both have to fit into 255 bytes. */
const longestQueueBytes = 240;

/**
 * A queue's name as part of one at the server. Letters, digits, `_` and `-` stay, and so do single dots; everything
 * else is escaped, because `*` and `#` have a meaning in routing keys. What gets too long becomes a digest.
 */
export function queueNameOf(namespace: string, queue: string): string {
  const escaped = escapeQueue(queue);
  const name = `${namespace}.q.${escaped}`;
  if (name.length <= longestQueueBytes) return name;
  return `${namespace}.q.~${createHash('sha256').update(queue).digest('hex')}`;
}

/** The queue whose name at the server this is; the name itself where it does not say. */
export function queueOfName(namespace: string, name: string): string {
  const start = `${namespace}.q.`;
  if (!name.startsWith(start) || name.startsWith(`${start}~`)) return name;
  try {
    return decodeURIComponent(name.slice(start.length));
  } catch {
    return name;
  }
}

/** Where dead tasks of a namespace are kept. */
export function deadQueueOf(namespace: string): string {
  return `${namespace}.dead`;
}

/** `%` and two digits for every byte that is not plain; injective, and never begins with the `~` of a digest. */
function escapeQueue(queue: string): string {
  return queue.replaceAll(/[^\w.-]/gu, (character) =>
    [...Buffer.from(character)].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join(''),
  );
}
