import { runConformanceWorker } from '@millrace/conformance/worker';
import { brokerAt } from './harness.ts';

await runConformanceWorker((target) => brokerAt(target));
