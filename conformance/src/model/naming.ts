import type { Delivery, EnqueueOutcome, Lease, NewTask, TaskFilter, TaskRecord } from '@millrace/core';

/**
 * Names of a program and names at the broker. Programs share a namespace where setting one up is slow; a prefix on ids
 * and queues keeps them apart. Sessions have names in a program, and ids at the broker.
 */
export class Naming {
  readonly #prefix: string;
  readonly #sessionIds = new Map<string, string>();
  readonly #sessionNames = new Map<string, string>();

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  addSession(name: string, id: string): void {
    this.#sessionIds.set(name, id);
    this.#sessionNames.set(id, name);
  }

  real(name: string): string {
    return this.#prefix + name;
  }

  bare(name: string): string {
    return name.startsWith(this.#prefix) ? name.slice(this.#prefix.length) : name;
  }

  task(task: NewTask): NewTask {
    return { ...task, id: this.real(task.id), queue: this.real(task.queue) };
  }

  lease(lease: Lease): Lease {
    const sessionId = this.#sessionIds.get(lease.sessionId) ?? lease.sessionId;
    return { ...lease, taskId: this.real(lease.taskId), sessionId };
  }

  filter(filter: TaskFilter): TaskFilter {
    return {
      ...filter,
      ...(filter.ids !== undefined && { ids: filter.ids.map((id) => this.real(id)) }),
      ...(filter.queues !== undefined && { queues: filter.queues.map((queue) => this.real(queue)) }),
    };
  }

  bareOutcome(outcome: EnqueueOutcome): EnqueueOutcome {
    return 'existingId' in outcome ? { ...outcome, existingId: this.bare(outcome.existingId) } : outcome;
  }

  bareRecord(record: TaskRecord | undefined): TaskRecord | undefined {
    return record && { ...record, id: this.bare(record.id), queue: this.bare(record.queue) };
  }

  bareDelivery(delivery: Delivery): Delivery {
    const { lease } = delivery;
    const sessionId = this.#sessionNames.get(lease.sessionId) ?? lease.sessionId;
    return {
      ...delivery,
      queue: this.bare(delivery.queue),
      lease: { ...lease, taskId: this.bare(lease.taskId), sessionId },
    };
  }
}
