// pnpm check: everything a script can check, in one order, all of it reported. What CI runs.
import { performance } from 'node:perf_hooks';
import { collect, ensureInstalled, installedProgram, pnpm } from './pnpm.mjs';

const node = (...args) => collect(process.execPath, args);
const program = (name, ...args) => installedProgram(name, args);

const steps = {
  'types of the packages (tsc)': () => program('tsc', '--project', 'tsconfig.json'),
  'types of programs using them (tsc)': () => program('tsc', '--project', 'tsconfig.programs.json'),
  'lint and format (biome)': () => program('biome', 'ci', '--colors=off', '--error-on-warnings', '.'),
  'structure (ARCHITECTURE.md)': () => node('tools/check-structure.mjs'),
  'embedded SQL and Lua': () => node('tools/embed-sql.mjs', '--check'),
  'generated documentation': () => node('tools/generate-docs.mjs', '--check'),
  'build (tsup)': () => pnpm(['run', 'build']),
  'packed packages (publint, attw)': () => node('tools/check-packages.mjs'),
  'unused files and exports (knip)': () => program('knip', '--no-progress'),
};

await ensureInstalled();
const failures = [];
for (const [name, run] of Object.entries(steps)) {
  const start = performance.now();
  const { ok, output } = await run();
  console.log(`${ok ? 'ok    ' : 'FAILED'} ${name} (${((performance.now() - start) / 1000).toFixed(1)} s)`);
  if (!ok) {
    failures.push(name);
    console.log(`${output.trim().replace(/^/gm, '  ')}\n`);
  }
}
console.log(failures.length === 0 ? 'All checks passed.' : `Failed: ${failures.join(', ')}.`);
process.exitCode = failures.length === 0 ? 0 : 1;
