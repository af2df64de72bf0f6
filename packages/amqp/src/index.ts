/**
 * RabbitMQ as a Millrace broker: a task is a message.
 * @module
 */
export { adapter } from './amqp-adapter.ts';
export { type AmqpBroker, amqpBroker } from './amqp-broker.ts';
export type { DeadLetters, DeadPage, DeadSelection, DeadTask } from './dead-letters.ts';
export type {
  AmqpBrokerOptions,
  ExchangeOptions,
  QueueOptions,
  ReconnectOptions,
  TlsOptions,
} from './options.ts';
