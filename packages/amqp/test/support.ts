import { randomBytes, randomUUID } from 'node:crypto';
import type { Broker, Delivery, NewTask, Session, SessionOptions } from '@millrace/core';
import { type AmqpBroker, type AmqpBrokerOptions, amqpBroker } from '../src/index.ts';

/** A namespace nobody used before. */
export function freshNamespace(): string {
  return `t${randomBytes(6).toString('hex')}`;
}

/** A broker in a namespace of its own unless told otherwise. */
export function brokerOf(url: string, options: Partial<AmqpBrokerOptions> = {}): AmqpBroker {
  return amqpBroker({ url, namespace: freshNamespace(), operationTimeout: '5s', ...options });
}

export function newTask(changes: Partial<NewTask> = {}): NewTask {
  const task = { id: randomUUID(), name: 'work', queue: 'line', headers: {}, priority: 4, delayMs: 0 };
  return { ...task, maxAttempts: 3, version: 1, ...changes };
}

export function openSession(broker: Broker, changes: Partial<SessionOptions> = {}): Promise<Session> {
  return broker.openSession({ instance: 'test', host: 'localhost', ttlMs: 30_000, onSignal: () => {}, ...changes });
}

/** The next task of the usual queue, which must come within ten seconds. */
export async function claimOne(session: Session, queue = 'line'): Promise<Delivery> {
  const [delivery] = await session.claim({ queues: [queue], names: ['work'], limit: 1, waitMs: 10_000 });
  if (delivery === undefined) throw new Error('no task came');
  return delivery;
}
