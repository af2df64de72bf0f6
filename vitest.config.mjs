import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';
import { CHOSEN_LANES, lanes, projectsOf } from './tools/lanes.mjs';
import { TestOrder } from './tools/test-order.mjs';

const chosen = process.env[CHOSEN_LANES]?.split(',') ?? Object.keys(lanes);

const processors = availableParallelism();
const given = Number(process.env.MILLRACE_TEST_WORKERS);
// What computes still reads files and starts processes; what waits, waits most of the time.
const workers = { computes: processors + 1, waits: Math.max(6, processors + 1) };

export default defineConfig({
  test: {
    // A test that passes the second time has found a race, not a hiccup.
    retry: 0,
    // A forgotten `.only` would silently turn the other tests into skips.
    allowOnly: false,
    sequence: { sequencer: TestOrder },
    projects: projectsOf(chosen).map(({ name, include, timeoutMs }, groupOrder) => ({
      extends: true,
      test: {
        name,
        include,
        testTimeout: timeoutMs,
        hookTimeout: timeoutMs,
        isolate: false,
        // Vitest's own `--maxWorkers` does not reach projects that extend this.
        maxWorkers: given || workers[name],
        sequence: { groupOrder },
      },
    })),
  },
});
