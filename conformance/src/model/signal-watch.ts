import type { Driver } from './driver.ts';
import type { ModelOperation, ModelOutcome, Occasion } from './operation.ts';
import type { ModelState } from './state.ts';

/** Share of a session's time to live after which its holder must have been told: one heartbeat and some. */
const toldWithin = 0.5;

/**
 * Looks at what brokers say without being asked: that sessions are lost, and that tasks are to be stopped. Only on a
 * virtual clock, where it is known when a heartbeat has passed.
 */
export class SignalWatch {
  readonly #driver: Driver;
  /** Stops asked for, by task and kind. */
  readonly #asked = new Set<string>();
  /** When a run was first seen with a request, by task and fence. */
  readonly #since = new Map<string, number>();

  constructor(driver: Driver) {
    this.#driver = driver;
  }

  /** What is wrong, in words. */
  look(state: ModelState, operation: ModelOperation, outcome: ModelOutcome, occasion: Occasion): string | undefined {
    if (operation.type === 'control' && outcome.type === 'control') {
      for (const [index, id] of operation.ids.entries()) {
        if (outcome.outcomes[index] === 'requested') this.#asked.add(`${operation.control} ${id}`);
      }
    }
    if (!occasion.exact) return undefined;
    for (const session of state.sessions.values()) {
      if (session.state !== 'live') continue;
      if (this.#driver.isLost(session.id))
        return `session ${session.id} beats, and its holder was told that it is lost`;
      const phantom = this.#driver
        .signalsOf(session.id)
        .find(({ taskId, request }) => !this.#asked.has(`${request} ${taskId}`));
      if (phantom !== undefined)
        return `${session.id} was told to ${phantom.request} ${phantom.taskId}, which nobody asked for`;
    }
    return this.#untold(state, occasion.now.from);
  }

  #untold(state: ModelState, now: number): string | undefined {
    for (const task of state.tasks.values()) {
      const session = task.holder === undefined ? undefined : state.sessions.get(task.holder);
      if (task.requested === undefined || session?.state !== 'live') continue;
      const run = `${task.id} ${task.fence} ${task.requested}`;
      const since = this.#since.get(run) ?? now;
      this.#since.set(run, since);
      if (now - since < session.ttlMs * toldWithin) continue;
      const told = this.#driver
        .signalsOf(session.id)
        .some(({ taskId, fence, request }) => taskId === task.id && fence === task.fence && request === task.requested);
      if (!told) return `${session.id} runs ${task.id}, and was not told to ${task.requested} within a heartbeat`;
    }
    return undefined;
  }
}
