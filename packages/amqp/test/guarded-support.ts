import { type Broker, type Guard, type GuardOptions, type NewTask, type Session, systemClock } from '@millrace/core';
import { type ChannelModel, type ConfirmChannel, connect } from 'amqplib';
import { type AmqpBrokerOptions, amqpBroker, type GuardedAmqpBroker } from '../src/index.ts';
import { queueNameOf } from '../src/names.ts';
import { type GuardStore, memoryStore } from './guards.ts';
import { serverUrl } from './harness.ts';
import { claimOne, freshNamespace } from './support.ts';

/** A namespace of its own, and its store. */
export interface Place {
  readonly namespace: string;
  readonly store: GuardStore;
}

export function freshPlace(store: GuardStore = memoryStore): Place {
  return { namespace: freshNamespace(), store };
}

/** How tests change a guard before it is given away. */
export type ChangeGuard = (guard: Guard<never>) => Guard<never>;

/** A client of a place, open. */
export async function openGuarded(
  { namespace, store }: Place,
  options: {
    readonly guard?: GuardOptions;
    readonly change?: ChangeGuard;
    readonly amqp?: Partial<AmqpBrokerOptions>;
  } = {},
): Promise<GuardedAmqpBroker> {
  const guard = store.guard({ namespace, clock: systemClock }, options.guard ?? { mode: 'always' });
  const broker = amqpBroker({
    url: serverUrl,
    namespace,
    operationTimeout: '5s',
    ...options.amqp,
    guard: options.change?.(guard) ?? guard,
  });
  await broker.open();
  return broker;
}

/** The guard with some methods of its broker replaced. */
export function changed(
  guard: Guard<never>,
  changes: (broker: Guard<never>['broker']) => Partial<Broker>,
): Guard<never> {
  const { broker } = guard;
  const changedBroker = new Proxy(broker, {
    get: (target, property) => {
      const change = Reflect.get(changes(target), property) as unknown;
      const value: unknown = change ?? Reflect.get(target, property);
      return typeof value === 'function' && change === undefined ? value.bind(target) : value;
    },
  });
  return { ...guard, broker: changedBroker };
}

/** The guard with some methods of its sessions replaced. */
export function changedSessions(guard: Guard<never>, changes: (session: Session) => Partial<Session>): Guard<never> {
  return changed(guard, (broker) => ({
    openSession: async (options) => {
      const session = await broker.openSession(options);
      const replaced = changes(session);
      return new Proxy(session, {
        get: (target, property) => {
          const value: unknown = Reflect.get(replaced, property) ?? Reflect.get(target, property);
          return typeof value === 'function' ? value.bind(target) : value;
        },
      });
    },
  }));
}

/** Runs `work` with a channel that no broker knows of. */
export async function withChannel<T>(work: (channel: ConfirmChannel) => Promise<T>): Promise<T> {
  const connection: ChannelModel = await connect(serverUrl, { noDelay: true });
  connection.on('error', () => {});
  const channel = await connection.createConfirmChannel();
  channel.on('error', () => {});
  try {
    return await work(channel);
  } finally {
    await channel.close().catch(() => {});
    await connection.close();
  }
}

/** Messages ready in a queue of a namespace. */
export function readyIn(namespace: string, queue = 'line'): Promise<number> {
  return withChannel(async (channel) => (await channel.checkQueue(queueNameOf(namespace, queue))).messageCount);
}

/** Completes what comes until a task comes that is known to be the last; the ids in order. */
export async function runUntil(broker: Broker<never>, session: Session, last: NewTask): Promise<string[]> {
  await broker.enqueue([last]);
  const ids: string[] = [];
  while (ids.at(-1) !== last.id) {
    const { lease } = await claimOne(session);
    ids.push(lease.taskId);
    await session.settle([{ type: 'complete', lease }]);
  }
  return ids;
}
