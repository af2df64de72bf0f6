import { mkdirSync, renameSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { buildSync } from 'esbuild';

const example = fileURLToPath(new URL('..', import.meta.url));

/**
 * Makes the example one file of JavaScript, which starts in half the time: the tests start it forty times.
 * @returns its path
 */
export function bundleDigest(): string {
  // In the example, so that drivers are found from there.
  const folder = path.join(example, 'node_modules', '.cache', 'millrace');
  const bundle = path.join(folder, 'digest.mjs');
  const draft = `${bundle}.${process.pid}`;
  mkdirSync(folder, { recursive: true });
  buildSync({
    entryPoints: [path.join(example, 'test/bundled-main.ts')],
    outfile: draft,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: `node${process.versions.node}`,
    external: ['@electric-sql/pglite', 'amqplib', 'ioredis', 'pg'],
    // It looks for things beside its own files.
    define: { 'import.meta.url': JSON.stringify(pathToFileURL(path.join(example, 'src/main.ts')).href) },
    logLevel: 'silent',
  });
  // Another test may be about to run the one that is there.
  renameSync(draft, bundle);
  return bundle;
}
