/**
 * RabbitMQ as a Millrace broker: a task is a message, or with a guard is brought by one.
 * @module
 */
export { adapter } from './amqp-adapter.ts';
export { type AmqpBroker, amqpBroker, type GuardedAmqpBroker } from './amqp-broker.ts';
export type { DeadLetters, DeadPage, DeadSelection, DeadTask } from './dead-letters.ts';
export type {
  AmqpBrokerOptions,
  ExchangeOptions,
  GuardedAmqpBrokerOptions,
  QueueOptions,
  ReconnectOptions,
  TlsOptions,
} from './options.ts';
