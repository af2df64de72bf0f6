import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import type { BrokerHarness } from '../harness.ts';
import { UsageError } from './terminal.ts';

/** A harness, and what ends that which its module started. */
export interface LoadedHarness {
  readonly harness: BrokerHarness;
  close(): Promise<void>;
}

/**
 * Imports a module that exports `harness`, and maybe `close`. TypeScript is run by tsx where it is installed, else by
 * Node itself (22.18 and newer).
 * @throws UsageError when there is no such file or no harness in it
 */
export async function loadHarness(file: string | undefined): Promise<LoadedHarness> {
  if (file === undefined) throw new UsageError('name the module that exports your harness, such as test/harness.ts');
  const url = pathToFileURL(path.resolve(file));
  await enableTypescript(url);
  let module: Record<string, unknown>;
  try {
    module = (await import(url.href)) as Record<string, unknown>;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ERR_MODULE_NOT_FOUND' && String(error).includes(url.pathname))
      throw new UsageError(`there is no file ${file}`);
    if (code === 'ERR_UNKNOWN_FILE_EXTENSION')
      throw new UsageError(`${file} is TypeScript: install tsx beside it, or use Node 22.18 or newer`);
    throw error;
  }
  const { harness, close } = module;
  if (typeof harness !== 'object' || harness === null) {
    throw new UsageError(`${file} exports no \`harness\`; it exports ${Object.keys(module).join(', ') || 'nothing'}`);
  }
  return {
    harness: harness as BrokerHarness,
    close: async () => {
      if (typeof close === 'function') await close();
    },
  };
}

async function enableTypescript(url: URL): Promise<void> {
  if (!/\.[cm]?tsx?$/.test(url.pathname) || (process.features as { typescript?: unknown }).typescript) return;
  try {
    const api = createRequire(url).resolve('tsx/esm/api');
    const { register } = (await import(pathToFileURL(api).href)) as { readonly register: () => void };
    register();
  } catch {
    // Not installed: the import says what is wrong, unless somebody else runs TypeScript already.
  }
}
