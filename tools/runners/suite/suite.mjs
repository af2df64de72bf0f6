// The one test file that node:test, vitest, jest and bun all run, unchanged.
import { defineConformance } from '@millrace/conformance';
import { chosen, harness } from './subject.mjs';

// vitest, jest and bun put them into the global scope of a test file; Node has a module.
const { describe, it } = typeof globalThis.it === 'function' ? globalThis : await import('node:test');

await defineConformance({ describe, it }, harness, { scenarios: chosen });
