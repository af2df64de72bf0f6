import type {
  Capabilities,
  ClaimRequest,
  Clock,
  Delivery,
  NewTask,
  Session,
  SessionSignal,
  SettleOp,
  SettleOutcome,
  TaskFailure,
  TaskRecord,
  TimerHandle,
} from '@millrace/core';
import { createMemoryStore, type MemoryBroker, type MemoryBrokerOptions, memoryBroker } from '../src/index.ts';
import { VirtualClock } from '../src/testing/virtual-clock.ts';

/** An open broker whose time the test moves. */
export interface Fixture {
  readonly broker: MemoryBroker;
  readonly clock: VirtualClock;
  readonly capabilities: Capabilities;
}

export async function openBroker(options: Omit<MemoryBrokerOptions, 'clock' | 'store'> = {}): Promise<Fixture> {
  const clock = new VirtualClock();
  const broker = memoryBroker({ ...options, clock });
  return { broker, clock, capabilities: await broker.open() };
}

/** Two clients of the same tasks. */
export async function openTwins(): Promise<{ first: MemoryBroker; second: MemoryBroker; clock: VirtualClock }> {
  const clock = new VirtualClock();
  const store = createMemoryStore({ clock });
  const [first, second] = [memoryBroker({ store }), memoryBroker({ store })];
  await first.open();
  await second.open();
  return { first, second, clock };
}

let ids = 0;

export function newTask(changes: Partial<NewTask> = {}): NewTask {
  ids += 1;
  return {
    id: `task-${ids}`,
    name: 'work',
    queue: 'main',
    headers: {},
    priority: 4,
    delayMs: 0,
    maxAttempts: 3,
    version: 1,
    ...changes,
  };
}

/** Enqueues one task and returns it. */
export async function enqueue(broker: MemoryBroker, changes: Partial<NewTask> = {}): Promise<NewTask> {
  const task = newTask(changes);
  const [outcome] = await broker.enqueue([task]);
  if (outcome?.status !== 'accepted') throw new Error(`the task was ${JSON.stringify(outcome)}`);
  return task;
}

/** A session, and what it was told. */
export interface Worker {
  readonly session: Session;
  readonly signals: SessionSignal[];
}

export async function openWorker(
  broker: MemoryBroker,
  options: { instance?: string; ttlMs?: number } = {},
): Promise<Worker> {
  const signals: SessionSignal[] = [];
  const session = await broker.openSession({
    instance: options.instance ?? 'w1',
    host: 'host',
    ttlMs: options.ttlMs ?? 60_000,
    onSignal: (signal) => signals.push(signal),
  });
  return { session, signals };
}

export function claim(worker: Worker, request: Partial<ClaimRequest> = {}): Promise<Delivery[]> {
  return worker.session.claim({ queues: ['main'], names: ['work'], limit: 1, waitMs: 0, ...request });
}

export async function claimOne(worker: Worker, request: Partial<ClaimRequest> = {}): Promise<Delivery> {
  const [delivery] = await claim(worker, request);
  if (delivery === undefined) throw new Error('nothing was claimed');
  return delivery;
}

export async function settle(worker: Worker, operation: SettleOp): Promise<SettleOutcome> {
  const [outcome] = await worker.session.settle([operation]);
  return outcome as SettleOutcome;
}

export function idsOf(deliveries: readonly Delivery[]): string[] {
  return deliveries.map((delivery) => delivery.lease.taskId);
}

export async function find(broker: MemoryBroker, id: string): Promise<TaskRecord> {
  const [record] = await broker.tasks.get([id]);
  if (record === undefined) throw new Error(`task ${id} is not there`);
  return record;
}

export const boom: TaskFailure = { kind: 'error', name: 'Error', message: 'boom' };

/** A client's clock whose timers never fire: the client is frozen, or dead, and its heartbeats stop. */
export function frozenClock(base: Clock): Clock {
  const handle: TimerHandle = {};
  return { now: () => base.now(), monotonic: () => 0, setTimer: () => handle, clearTimer: () => {} };
}
