// The order of test files. Those that take long come first, so that none of them is what everybody waits for at the end;
// and one that mostly waits for servers goes beside one that computes, so that neither processors nor patience run out.
// A fresh clone knows no durations, and vitest would begin with the largest files, which are the quickest here.
import { BaseSequencer } from 'vitest/node';

/** Each the longest first. */
const WAITING = [
  /amqp\/test\/conformance/,
  /redis\/test\/faults/,
  /postgres\/test\/faults/,
  /amqp\/test\/faults/,
  /delays|fault-mutants|redis\/test\/mutants/,
  /soak|guarded-traps|heartbeat-thread|long-tasks/,
  /fault-|guarded-(traps|broker|kill)|traps|connection\.test/,
];
const COMPUTING = [
  /pglite-conformance/,
  /many-files/,
  /guarded-conformance|pooler-conformance/,
  /runners/,
  /digest\/test/,
  /conformance\.test|mutants|pglite|model/,
];

export class TestOrder extends BaseSequencer {
  async sort(files) {
    const waiting = ranked(files, WAITING);
    const remaining = files.filter((file) => !waiting.includes(file));
    const computing = ranked(remaining, COMPUTING);
    const others = remaining.filter((file) => !computing.includes(file));
    return [...alternately(waiting, computing), ...others];
  }
}

function ranked(files, patterns) {
  const rank = ({ moduleId }) => patterns.findIndex((pattern) => pattern.test(moduleId));
  return files.filter((file) => rank(file) >= 0).sort((first, second) => rank(first) - rank(second));
}

function alternately(first, second) {
  const length = Math.max(first.length, second.length);
  return Array.from({ length }, (_unused, index) => [first[index], second[index]])
    .flat()
    .filter((file) => file !== undefined);
}
