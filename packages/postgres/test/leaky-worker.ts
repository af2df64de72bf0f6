import { runConformanceWorker } from '@millrace/conformance/worker';
import { brokerAt } from './harness.ts';

// A broker that leaves a timer behind when it is closed, as a poll that nobody stops would.
await runConformanceWorker((target) => {
  const broker = brokerAt(target);
  const close = broker.close.bind(broker);
  return Object.assign(broker, {
    async close() {
      await close();
      setInterval(() => {}, 1_000);
    },
  });
});
