import { configDefaults, defineConfig } from 'vitest/config';
import { lanes } from './tools/lanes.mjs';

export default defineConfig({
  test: {
    // A test that passes the second time has found a race, not a hiccup.
    retry: 0,
    // A forgotten `.only` would silently turn the other tests into skips.
    allowOnly: false,
    projects: Object.entries(lanes).map(([name, lane]) => ({
      extends: true,
      test: {
        name,
        include: lane.include,
        exclude: [...configDefaults.exclude, ...(lane.exclude ?? [])],
        testTimeout: lane.timeoutMs,
        hookTimeout: lane.timeoutMs,
      },
    })),
  },
});
