import { availableParallelism } from 'node:os';
import { configDefaults, defineConfig } from 'vitest/config';
import { lanes } from './tools/lanes.mjs';
import { TestOrder } from './tools/test-order.mjs';

export default defineConfig({
  test: {
    // A test that passes the second time has found a race, not a hiccup.
    retry: 0,
    // A forgotten `.only` would silently turn the other tests into skips.
    allowOnly: false,
    // Most tests wait for servers and clocks rather than for the processor. Vitest's own `--maxWorkers` does not reach
    // projects that extend this.
    maxWorkers: Number(process.env.MILLRACE_TEST_WORKERS) || Math.max(4, availableParallelism() + 1),
    sequence: { sequencer: TestOrder },
    projects: Object.entries(lanes).map(([name, lane]) => ({
      extends: true,
      test: {
        name,
        include: lane.include,
        exclude: [...configDefaults.exclude, ...(lane.exclude ?? [])],
        testTimeout: lane.timeoutMs,
        hookTimeout: lane.timeoutMs,
        isolate: lane.isolate,
      },
    })),
  },
});
