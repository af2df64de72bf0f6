import { defineConformance, scenarios } from '@millrace/conformance';
import { describe, it } from 'vitest';
import { firstHalf, harness } from './pglite-harness.ts';

const chosen = scenarios.filter(({ id }) => firstHalf.test(id));
await defineConformance({ describe, it }, harness, { scenarios: chosen, concurrency: 4 });
