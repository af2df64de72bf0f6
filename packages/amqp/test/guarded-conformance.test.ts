import { defineConformance, scenarios } from '@millrace/conformance';
import { describe, it } from 'vitest';
import { guardedHarness } from './guarded-harness.ts';
import { guardStores } from './guards.ts';

// The link that scenarios cut is the one to the store, which gives the answers. Day by day the core tier and what cuts
// or kills; with `npm test -- --all` the whole suite.
const all = process.env.MILLRACE_TEST_ALL !== undefined;
const chosen = scenarios.filter(({ id, tier }) => all || tier === 'core' || /^FLT-(0[4-7]|29)$/.test(id));

await defineConformance({ describe, it }, guardedHarness(guardStores.postgres, 'store'), {
  scenarios: chosen,
  concurrency: 8,
});
