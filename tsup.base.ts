import type { Options } from 'tsup';

/** How every package is built: plain options only, so that moving to another bundler stays a rename. */
export function libraryBuild(entries: Record<string, string>): Options {
  return {
    entry: entries,
    format: 'esm',
    target: 'node20',
    platform: 'node',
    dts: true,
    sourcemap: true,
    clean: true,
    silent: true,
  };
}
