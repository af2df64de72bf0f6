import {
  type Broker,
  type BrokerHealth,
  type Capabilities,
  ClosedError,
  type ControlOutcome,
  type EnqueueOutcome,
  IndeterminateError,
  LeaseLostError,
  type NewTask,
  type QueueStore,
  type Session,
  type SessionOptions,
  type SettleOutcome,
  type TaskStore,
} from '@millrace/core';
import { apply } from '../src/model/apply.ts';
import type { ModelOperation, ModelOutcome } from '../src/model/operation.ts';
import { type ModelRules, rulesFor } from '../src/model/rules.ts';
import { emptyState, type ModelState } from '../src/model/state.ts';
import type { Simulation } from './simulation.ts';

/**
 * A backend that is nothing but the rules: of all legal ways a call may end it takes any. Calls take time, take effect
 * at some moment of it, and sometimes their answer is lost.
 */
export class ModelBackend {
  readonly simulation: Simulation;
  readonly rules: ModelRules;
  /** Share of answers that get lost. */
  lossy = 0;
  state: ModelState = emptyState;
  #step = 0;

  constructor(simulation: Simulation, capabilities: Capabilities) {
    this.simulation = simulation;
    this.rules = rulesFor(capabilities);
  }

  connect(): Broker<never> {
    return new ModelBroker(this);
  }

  async call(operation: ModelOperation): Promise<ModelOutcome> {
    const { dice } = this.simulation;
    await this.simulation.sleep(dice.next() * 3);
    const isLost = dice.chance(this.lossy);
    if (isLost && dice.chance(0.5)) throw new IndeterminateError('the request was lost');
    const outcome = this.#takeEffect(operation);
    await this.simulation.sleep(dice.next() * 3);
    if (isLost) throw new IndeterminateError('the answer was lost');
    if (outcome.type !== 'error') return outcome;
    if (outcome.code === 'LEASE_LOST') throw new LeaseLostError(outcome.message);
    throw new ClosedError(outcome.message);
  }

  #takeEffect(operation: ModelOperation): ModelOutcome {
    // The rules count in whole milliseconds; the history in microseconds.
    const now = Math.floor(this.simulation.now);
    this.#step += 1;
    const steps = apply(
      this.state,
      operation,
      { step: this.#step, now: { from: now, to: now }, exact: true },
      this.rules,
    );
    const chosen = this.simulation.dice.pick(steps);
    this.state = chosen.state;
    return chosen.outcome;
  }
}

class ModelBroker implements Broker<never> {
  readonly kind = 'model';
  readonly queues: QueueStore;
  readonly tasks: TaskStore;
  readonly #backend: ModelBackend;

  constructor(backend: ModelBackend) {
    this.#backend = backend;
    this.queues = queueStore(backend);
    this.tasks = taskStore(backend);
  }

  async open(): Promise<Capabilities> {
    return this.#backend.rules.capabilities;
  }

  async enqueue(tasks: readonly NewTask[]): Promise<EnqueueOutcome[]> {
    const outcome = await this.#backend.call({ type: 'enqueue', tasks });
    return outcome.type === 'enqueue' ? [...outcome.outcomes] : [];
  }

  async openSession(options: SessionOptions): Promise<Session> {
    const session = `${options.instance}-${this.#backend.state.sessions.size}`;
    const worker = `${options.instance}@${options.host}`;
    await this.#backend.call({ type: 'openSession', session, ttlMs: options.ttlMs, worker });
    return new ModelSession(this.#backend, session);
  }

  async maintain(): Promise<{ reclaimed: number; expired: number; pruned: number; more: boolean }> {
    const outcome = await this.#backend.call({ type: 'maintain' });
    return outcome.type === 'maintain' ? outcome.report : { reclaimed: 0, expired: 0, pruned: 0, more: false };
  }

  async health(): Promise<BrokerHealth> {
    return { state: 'ready' };
  }

  async close(): Promise<void> {}
}

class ModelSession implements Session {
  readonly id: string;
  readonly lost: AbortSignal;
  readonly #backend: ModelBackend;
  readonly #loss = new AbortController();

  constructor(backend: ModelBackend, id: string) {
    this.#backend = backend;
    this.id = id;
    this.lost = this.#loss.signal;
  }

  async claim(request: Parameters<Session['claim']>[0]): ReturnType<Session['claim']> {
    const outcome = await this.#backend.call({ type: 'claim', session: this.id, request });
    return outcome.type === 'claim' ? [...outcome.deliveries] : [];
  }

  async report(reports: Parameters<Session['report']>[0]): Promise<SettleOutcome[]> {
    return this.#answered({ type: 'report', session: this.id, reports }, reports.length);
  }

  async settle(operations: Parameters<Session['settle']>[0]): Promise<SettleOutcome[]> {
    return this.#answered({ type: 'settle', session: this.id, operations }, operations.length);
  }

  async end(): Promise<void> {
    await this.#backend.call({ type: 'endSession', session: this.id, close: false }).catch(() => {});
  }

  /** A settle answers, whatever happens. */
  async #answered(operation: ModelOperation, count: number): Promise<SettleOutcome[]> {
    try {
      const outcome = await this.#backend.call(operation);
      return outcome.type === 'settle' ? [...outcome.outcomes] : [];
    } catch {
      return Array.from({ length: count }, () => 'unknown' as const);
    }
  }
}

function taskStore(backend: ModelBackend): TaskStore {
  const control = async (operation: Extract<ModelOperation, { type: 'control' }>): Promise<ControlOutcome[]> => {
    const outcome = await backend.call(operation);
    return outcome.type === 'control' ? [...outcome.outcomes] : [];
  };
  return {
    get: async (ids) => {
      const outcome = await backend.call({ type: 'get', ids });
      return outcome.type === 'get' ? [...outcome.records] : [];
    },
    list: async () => ({ tasks: [] }),
    count: async (filter) => {
      const outcome = await backend.call({ type: 'count', filter });
      return outcome.type === 'count' ? outcome.count : 0;
    },
    cancel: (ids) => control({ type: 'control', control: 'cancel', ids }),
    pause: (ids) => control({ type: 'control', control: 'pause', ids }),
    resume: (ids) => control({ type: 'control', control: 'resume', ids }),
    rerun: (ids) => control({ type: 'control', control: 'rerun', ids }),
    remove: (ids) => control({ type: 'control', control: 'remove', ids }),
    reschedule: (ids, due) => control({ type: 'control', control: 'reschedule', ids, due }),
    update: (ids, changes) => control({ type: 'control', control: 'update', ids, changes }),
    wait: async () => [],
    events: async function* () {},
  };
}

function queueStore(backend: ModelBackend): QueueStore {
  return {
    stats: async () => [],
    pause: async (queue) => void (await backend.call({ type: 'queuePause', queue })),
    resume: async (queue) => void (await backend.call({ type: 'queueResume', queue })),
    purge: async (queue) => {
      const outcome = await backend.call({ type: 'queuePurge', queue });
      return outcome.type === 'count' ? outcome.count : 0;
    },
  };
}
