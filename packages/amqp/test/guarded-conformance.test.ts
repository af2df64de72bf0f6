import { defineConformance } from '@millrace/conformance';
import { describe, it } from 'vitest';
import { guardedHarness } from './guarded-harness.ts';
import { guardStores } from './guards.ts';

// The whole suite; the link that scenarios cut is the one to the store, which gives the answers.
await defineConformance({ describe, it }, guardedHarness(guardStores.postgres, 'store'), { concurrency: 8 });
