import type { Held } from './intake.ts';
import type { TaskMessage } from './message.ts';

/** What a process remembers of ended runs. */
const mostRemembered = 20_000;
/** An enqueue whose answer was lost is sent again within this; later it is somebody who wants the task once more. */
const resendMs = 30_000;

/**
 * What this process has in hand and has ended lately. A message may be there twice: an enqueue or a retry whose answer
 * was lost is sent again, and a lost acknowledgement brings back what has moved on. Where one process sees both copies,
 * the older one is dropped. RabbitMQ cannot tell across processes; a store could.
 */
export class Memory {
  readonly #held = new Map<string, Held[]>();
  readonly #ended = new Map<string, { readonly fence: number; readonly createdAt: number }>();

  /** Whether a task is a copy of one that is in hand, or of a run that has ended. */
  isCopy({ message, lease }: Held): boolean {
    const twins = this.#held.get(message.id);
    if (twins?.some((twin) => twin.lease.fence >= lease.fence && isSameTask(twin.message, message)) === true)
      return true;
    const ended = this.#ended.get(message.id);
    return ended !== undefined && message.fence < ended.fence && isSameTask(ended, message);
  }

  hold(held: Held): void {
    const twins = this.#held.get(held.message.id);
    if (twins === undefined) this.#held.set(held.message.id, [held]);
    else twins.push(held);
  }

  letGo(held: Held): void {
    const left = this.#held.get(held.message.id)?.filter((twin) => twin !== held) ?? [];
    if (left.length === 0) this.#held.delete(held.message.id);
    else this.#held.set(held.message.id, left);
  }

  /** The run of this lease is over, and so is every copy from before it. */
  end({ message, lease }: Held): void {
    // Behind the younger ones: the oldest is forgotten first.
    this.#ended.delete(message.id);
    this.#ended.set(message.id, { fence: lease.fence, createdAt: message.createdAt });
    if (this.#ended.size <= mostRemembered) return;
    const [oldest] = this.#ended.keys();
    if (oldest !== undefined) this.#ended.delete(oldest);
  }
}

function isSameTask(one: Pick<TaskMessage, 'createdAt'>, other: Pick<TaskMessage, 'createdAt'>): boolean {
  return Math.abs(one.createdAt - other.createdAt) <= resendMs;
}
