import { defineConformance } from '@millrace/conformance';
import { describe, it } from 'vitest';
import { harness } from './harness.ts';

await defineConformance({ describe, it }, harness, { concurrency: 6 });
