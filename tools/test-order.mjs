// The order of test files. Those that take long come first, so that none of them is what everybody waits for at the end;
// and where it can be chosen, one that waits for clocks and processes goes beside one that computes.
// A fresh clone knows no durations, and vitest would begin with the largest files, which are the quickest here.
import { BaseSequencer } from 'vitest/node';

/** Files not named here come last. The two parts never run at the same time (see lanes.mjs). */
const ORDER = [
  // What computes.
  /pglite-(?!model)/,
  /runners\.test\.mjs/,
  /memory\/test|pglite|(conformance|tools)\/.*\.test/,
  // What waits.
  /amqp\/test\/conformance/,
  /redis\/test\/faults/,
  /postgres\/test\/faults/,
  /guarded-conformance/,
  /postgres\/test\/fault-mutants/,
  /many-files/,
  /amqp\/test\/faults/,
  /pooler-conformance/,
  /delays/,
  /postgres\/test\/conformance/,
  /digest\/test\/(dead-files|usage)/,
  /soak/,
  /redis\/test\/fault-mutants/,
  /redis\/test\/conformance/,
  /heartbeat-thread/,
  /guarded-traps/,
  /digest\/test\/(servers|fresh-run)/,
  /copies|fault-sentinel/,
  /digest\/test\/resume/,
  /cluster-conformance/,
  /standing|long-tasks/,
  /digest\/test\/shared-run/,
  /postgres\/test\/model|process-mutants/,
  /beat-mutants|connection\.test/,
  /guarded-|fault-|mutants|traps/,
  /claim-by-id|races|plans|broker\.test|tls\.test/,
];

export class TestOrder extends BaseSequencer {
  async sort(files) {
    const rank = ({ moduleId }) => {
      const found = ORDER.findIndex((pattern) => pattern.test(moduleId));
      return found < 0 ? ORDER.length : found;
    };
    return [...files].sort((first, second) => rank(first) - rank(second));
  }
}
