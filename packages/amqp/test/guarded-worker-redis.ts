import { runConformanceWorker } from '@millrace/conformance/worker';
import { guardedAt } from './guarded-harness.ts';
import { guardStores } from './guards.ts';

await runConformanceWorker(({ url: storeUrl, ...target }) => guardedAt(guardStores.redis, { ...target, storeUrl }));
