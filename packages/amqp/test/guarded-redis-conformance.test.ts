import { defineConformance, scenarios } from '@millrace/conformance';
import { describe, it } from 'vitest';
import { guardedHarness } from './guarded-harness.ts';
import { guardStores } from './guards.ts';

/** What rests on the store: its fences, its keys, its control, its answers that were lost, workers that were killed. */
const ids = process.env.MILLRACE_TEST_ALL
  ? /^(STM|LSE-0|DUP|CAN|PAU|FLT-0[4-7]|FLT-29)/
  : /^(STM-0|LSE-0|DUP-0|FLT-05|FLT-29)/;
const chosen = scenarios.filter(({ id, alone }) => ids.test(id) && alone !== true);

await defineConformance({ describe, it }, guardedHarness(guardStores.redis, 'store'), {
  scenarios: chosen,
  concurrency: 8,
});
