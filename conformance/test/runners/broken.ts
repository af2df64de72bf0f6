import { describe, it } from 'node:test';
import { defineConformance, mutants, scenarios } from '../../src/index.ts';
import { loadMemoryHarness } from '../memory-harness.ts';

const mutant = mutants.find(({ name }) => name === 'no-fence-on-complete');
if (mutant === undefined) throw new Error('there is no such mutant');
const chosen = scenarios.filter(({ id }) => /^LSE-0[14]$/.test(id));
await defineConformance({ describe, it }, mutant.breakHarness(await loadMemoryHarness()), { scenarios: chosen });
