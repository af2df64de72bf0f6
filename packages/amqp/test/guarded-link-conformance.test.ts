import { defineConformance, scenarios } from '@millrace/conformance';
import { describe, it } from 'vitest';
import { guardedHarness } from './guarded-harness.ts';
import { guardStores } from './guards.ts';

/** What rests on RabbitMQ: waking up, delays, order, and its link being severed, silent or refused. */
const ids = process.env.MILLRACE_TEST_ALL
  ? /^(MOD|DLY|ORD|PRI|CON|FLT-(01|02|03|05|15|16|35|40)|LSE-10)/
  : /^(DLY-0|FLT-(01|02|03|05|15|16|35|40)|LSE-10)/;
const chosen = scenarios.filter(({ id, alone }) => ids.test(id) && alone !== true);

await defineConformance({ describe, it }, guardedHarness(guardStores.memory, 'messages'), {
  scenarios: chosen,
  concurrency: 8,
});
