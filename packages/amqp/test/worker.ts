import { runConformanceWorker } from '@millrace/conformance';
import { brokerAt } from './harness.ts';

await runConformanceWorker((target) => brokerAt(target));
