import { defineConformance, scenarios } from '@millrace/conformance';
import { describe, it } from 'vitest';
import { harness } from './harness.ts';

// What breaks the network, processes and the server is in faults.test.ts.
const chosen = scenarios.filter(({ tier }) => tier !== 'fault');
await defineConformance({ describe, it }, harness, { concurrency: 4, scenarios: chosen });
