import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';
import { CHOSEN_LANES, lanes, projectsOf } from './tools/lanes.mjs';
import { TestOrder } from './tools/test-order.mjs';

const chosen = process.env[CHOSEN_LANES]?.split(',') ?? Object.keys(lanes);

const processors = availableParallelism();
// The others wait more than they compute.
const workers = Number(process.env.MILLRACE_TEST_WORKERS) || Math.max(5, processors + 1);

export default defineConfig({
  test: {
    // A test that passes the second time has found a race, not a hiccup.
    retry: 0,
    // A forgotten `.only` would silently turn the other tests into skips.
    allowOnly: false,
    sequence: { sequencer: TestOrder },
    projects: projectsOf(chosen).map(({ name, include, timeoutMs, isolate, computes }) => ({
      extends: true,
      test: {
        name,
        include,
        testTimeout: timeoutMs,
        hookTimeout: timeoutMs,
        isolate,
        // Vitest's own `--maxWorkers` does not reach projects that extend this.
        maxWorkers: computes ? Math.min(processors, workers) : workers,
        sequence: { groupOrder: computes ? 0 : 1 },
      },
    })),
  },
});
