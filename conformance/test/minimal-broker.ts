import {
  type Broker,
  type Capabilities,
  type EnqueueOutcome,
  type NewTask,
  type Session,
  type TaskReport,
  UnsupportedError,
  ValidationError,
} from '@millrace/core';
import type { BrokerHarness } from '../src/harness.ts';

type Refusal = UnsupportedError | ValidationError;

const longestDelayMs = 86_400_000;

/** As little as the contract lets a broker claim: no lookup, no control, no keys, no order, no names, no reports. */
function minimalCapabilities(full: Capabilities): Capabilities {
  const nothing = {
    get: false,
    list: false,
    count: false,
    cancel: [],
    pause: [],
    rerun: false,
    reschedule: false,
    update: false,
    remove: false,
    wait: false,
    events: false,
  } as const;
  return deepFreeze({
    ...full,
    profile: 'transport',
    durability: 'none',
    delay: { maxMs: longestDelayMs, granularityMs: 1 },
    priority: { levels: 10, strict: false },
    order: 'best-effort',
    idempotentIds: false,
    claimByName: false,
    claimById: false,
    unique: false,
    transactions: false,
    reports: { progress: false, checkpoint: false, log: false, begun: false },
    tasks: nothing,
    queues: { pause: false, counts: 'approximate', purge: false },
    schedules: false,
    groups: false,
    wakeup: { push: false, pollMs: 100 },
    retention: { succeededMs: null, failedMs: null },
  });
}

/** The broker of a harness with everything taken away that a broker may lack. What is left must pass. */
export function minimalHarness(harness: BrokerHarness): BrokerHarness {
  const { clock } = harness;
  const names = new Map<string, Set<string>>();
  return {
    name: 'minimal',
    ...(clock && { clock }),
    drop: (target) => harness.drop(target),
    connect(target) {
      const known = names.get(target.namespace) ?? new Set<string>();
      names.set(target.namespace, known);
      return new MinimalBroker(harness.connect(target), known);
    },
  };
}

class MinimalBroker implements Broker<unknown> {
  readonly kind: string;
  readonly #inner: Broker<unknown>;
  readonly #names: Set<string>;
  #capabilities: Capabilities | undefined;

  constructor(inner: Broker<unknown>, names: Set<string>) {
    this.kind = inner.kind;
    this.#inner = inner;
    this.#names = names;
  }

  async open(): Promise<Capabilities> {
    const full = await this.#inner.open();
    this.#capabilities ??= minimalCapabilities(full);
    return this.#capabilities;
  }

  get queues(): Broker['queues'] {
    const refused = async (operation: string): Promise<never> => {
      await this.#inner.queues.stats();
      throw new UnsupportedError(`queues.${operation}`, `the broker has no queues.${operation}`);
    };
    return {
      stats: (queues) => this.#inner.queues.stats(queues),
      pause: () => refused('pause'),
      resume: () => refused('resume'),
      purge: () => refused('purge'),
    };
  }

  async enqueue(...[tasks, options]: Parameters<Broker<unknown>['enqueue']>): ReturnType<Broker['enqueue']> {
    if (options?.transaction !== undefined) {
      await this.#inner.queues.stats();
      throw new UnsupportedError('transactions', 'the broker has no transactions');
    }
    const refusals = tasks.map((task) => this.#refusal(task));
    const kept = tasks.filter((_task, index) => refusals[index] === undefined);
    const stored = await this.#inner.enqueue(kept, options);
    const outcomes = new Map(kept.map((task, index) => [task, stored[index] as EnqueueOutcome]));
    for (const [task, { status }] of outcomes) if (status === 'accepted') this.#names.add(task.name);
    return tasks.map((task, index) => outcomes.get(task) ?? { status: 'rejected', error: refusals[index] as Refusal });
  }

  #refusal(task: NewTask): Refusal | undefined {
    if (task.key !== undefined) return new UnsupportedError('unique', 'the broker has no unique keys');
    if (task.delayMs > longestDelayMs) {
      return new ValidationError('delay is too long for this broker', { option: 'delay', adapter: this.kind });
    }
    return undefined;
  }

  async openSession(options: Parameters<Broker['openSession']>[0]): Promise<Session> {
    const session = await this.#inner.openSession(options);
    return {
      id: session.id,
      lost: session.lost,
      // It cannot choose by name: whoever asks gets everything.
      claim: (request) =>
        session.claim(request.names.length === 0 ? request : { ...request, names: [...request.names, ...this.#names] }),
      report: async (reports) => {
        for (const report of reports) refuseFields(report);
        return session.report(reports);
      },
      settle: (operations) => session.settle(operations),
      end: () => session.end(),
    };
  }

  maintain(...given: Parameters<Broker['maintain']>): ReturnType<Broker['maintain']> {
    return this.#inner.maintain(...given);
  }

  health(): ReturnType<Broker['health']> {
    return this.#inner.health();
  }

  close(): Promise<void> {
    return this.#inner.close();
  }
}

function refuseFields({ lease: _lease, ...update }: TaskReport): void {
  const [field] = Object.keys(update);
  if (field !== undefined) throw new UnsupportedError(`reports.${field}`, `the broker keeps no ${field}`);
}

function deepFreeze<T extends object>(value: T): T {
  for (const member of Object.values(value)) {
    if (typeof member === 'object' && member !== null) deepFreeze(member);
  }
  return Object.freeze(value);
}
