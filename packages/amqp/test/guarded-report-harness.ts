import type { BrokerHarness } from '@millrace/conformance';
import { guardedHarness } from './guarded-harness.ts';
import { guardStores } from './guards.ts';

/** What the committed report is made of: RabbitMQ with PostgreSQL beside it. */
export const harness: BrokerHarness = { ...guardedHarness(guardStores.postgres, 'store'), name: 'amqp-guard' };
