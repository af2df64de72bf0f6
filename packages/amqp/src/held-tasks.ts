import type { Delivery, Lease, SettleOp, TaskFailure } from '@millrace/core';

/** A task that runs here: the guard's lease, and the lease of the message that brought it. */
export interface HeldTask {
  readonly lease: Lease;
  readonly message: Lease;
  readonly maxAttempts: number;
  /** Its handler was about to start. */
  begun: boolean;
}

/** What a session of the guard has claimed and not settled. */
export class HeldTasks {
  readonly #byKey = new Map<string, HeldTask>();
  readonly #ids = new Map<string, string>();

  add({ lease, maxAttempts }: Delivery, message: Lease): void {
    const key = keyOf(lease);
    this.#byKey.set(key, { lease, message, maxAttempts, begun: false });
    this.#ids.set(lease.taskId, key);
  }

  find(lease: Lease): HeldTask | undefined {
    const held = this.#byKey.get(keyOf(lease));
    return held?.lease.attempt === lease.attempt ? held : undefined;
  }

  /** Whether a task runs here, and so has a message here that goes on with it. */
  has(taskId: string): boolean {
    return this.#ids.has(taskId);
  }

  drop({ lease }: HeldTask): void {
    const key = keyOf(lease);
    this.#byKey.delete(key);
    if (this.#ids.get(lease.taskId) === key) this.#ids.delete(lease.taskId);
  }

  /** Everything, as lost: what is said to the guard when the messages are gone. Nothing is held afterwards. */
  lose(worker: string): SettleOp[] {
    const operations = [...this.#byKey.values()].map((held) => lostRun(held, worker));
    this.#byKey.clear();
    this.#ids.clear();
    return operations;
  }
}

/** A lost run is charged, except for the last attempt of a task that was claimed ahead and never began (LSE-16). */
function lostRun({ lease, maxAttempts, begun }: HeldTask, worker: string): SettleOp {
  const failure: TaskFailure = {
    kind: 'lost',
    name: 'LeaseLostError',
    message: 'the worker lost its connection to RabbitMQ while it ran the task',
    worker,
  };
  if (lease.attempt < maxAttempts) return { type: 'retry', lease, delayMs: 0, failure };
  return begun ? { type: 'fail', lease, failure } : { type: 'release', lease };
}

function keyOf({ taskId, fence }: Lease): string {
  return `${fence}:${taskId}`;
}
