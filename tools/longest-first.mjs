// The order of test files: those that wait for servers longest first, so that none of them is what everybody waits for at
// the end. A fresh clone knows no durations, and vitest would begin with the largest files, which are the quickest here.
import { BaseSequencer } from 'vitest/node';

/** The longest first; everything else after them. */
const LONG = [
  /amqp\/test\/conformance/,
  /redis\/test\/faults/,
  /guarded-conformance/,
  /postgres\/test\/fault/,
  /fault-mutants/,
  /delays|faults|soak/,
  /conformance/,
  /examples|fault|guarded|mutants|heartbeat-thread|runners/,
];

export class LongestFirst extends BaseSequencer {
  async sort(files) {
    const rank = ({ moduleId }) => {
      const index = LONG.findIndex((pattern) => pattern.test(moduleId));
      return index < 0 ? LONG.length : index;
    };
    return [...files].sort((first, second) => rank(first) - rank(second));
  }
}
