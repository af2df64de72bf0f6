import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, realpathSync, renameSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { findBeside } from './find-beside.ts';

/** What is used of esbuild. */
interface Bundler {
  buildSync(options: Readonly<Record<string, unknown>>): { readonly outputFiles: readonly { readonly text: string }[] };
}

const bundles = new Map<string, URL | undefined>();

/**
 * A TypeScript module and the TypeScript it imports as one file of JavaScript, made by esbuild once a process.
 * `undefined` where that cannot be: the module is JavaScript, esbuild is not installed, or it refuses.
 */
export function bundledModule(module: URL): URL | undefined {
  if (!/\.[cm]?tsx?$/.test(module.pathname)) return undefined;
  if (!bundles.has(module.href)) bundles.set(module.href, bundle(module));
  return bundles.get(module.href);
}

function bundle(module: URL): URL | undefined {
  const file = fileURLToPath(module);
  const esbuild = findBeside('esbuild', module);
  const home = packageOf(file);
  // In the package, so that what is not bundled is found.
  const modules = path.join(home ?? '', 'node_modules');
  if (esbuild === undefined || home === undefined || !existsSync(modules)) return undefined;
  try {
    const { buildSync } = createRequire(import.meta.url)(fileURLToPath(esbuild)) as Bundler;
    const { outputFiles } = buildSync({
      entryPoints: [file],
      write: false,
      bundle: true,
      platform: 'node',
      format: 'esm',
      target: `node${process.versions.node}`,
      external: installed(home),
      // CommonJS that was bundled asks for Node's own modules by `require`.
      banner: { js: "import{createRequire as $$require}from'node:module';const require=$$require(import.meta.url);" },
      logLevel: 'silent',
    });
    const [output] = outputFiles;
    return output && write(path.join(modules, '.cache', 'millrace'), file, output.text);
  } catch {
    return undefined;
  }
}

/** Others may be about to run what is there: it is replaced, not overwritten. */
function write(folder: string, file: string, text: string): URL {
  mkdirSync(folder, { recursive: true });
  const target = path.join(
    folder,
    `${path.parse(file).name}-${createHash('sha256').update(file).digest('hex').slice(0, 8)}.mjs`,
  );
  const draft = `${target}.${process.pid}`;
  writeFileSync(draft, text);
  renameSync(draft, target);
  return pathToFileURL(target);
}

/** The folder of the nearest manifest. */
function packageOf(file: string): string | undefined {
  for (let folder = path.dirname(file); folder !== path.dirname(folder); folder = path.dirname(folder)) {
    if (existsSync(path.join(folder, 'package.json'))) return folder;
  }
  return undefined;
}

/** What a package depends on and has from a registry. What is linked from the same workspace may be TypeScript. */
function installed(home: string): string[] {
  const manifest = JSON.parse(readFileSync(path.join(home, 'package.json'), 'utf8')) as Record<string, object>;
  const { dependencies, devDependencies, peerDependencies, optionalDependencies } = manifest;
  const names = Object.keys({ ...dependencies, ...devDependencies, ...peerDependencies, ...optionalDependencies });
  return names.filter((name) => {
    const folder = path.join(home, 'node_modules', name);
    return !existsSync(folder) || realpathSync(folder).split(path.sep).includes('node_modules');
  });
}
