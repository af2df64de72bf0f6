import { describe, it } from 'node:test';
import { defineConformance, scenarios } from '../../src/index.ts';
import { loadMemoryHarness } from '../memory-harness.ts';

const chosen = scenarios.filter(({ id }) => /^(LSE|MOD|SHD)-/.test(id));
await defineConformance({ describe, it }, await loadMemoryHarness(), { scenarios: chosen, concurrency: 4 });
