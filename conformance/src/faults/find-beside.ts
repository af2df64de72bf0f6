import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

/** Where a package that the suite uses if it is there lies: beside a module, in the project, or beside this package. */
export function findBeside(name: string, module: URL): URL | undefined {
  for (const place of [module, pathToFileURL(path.join(process.cwd(), 'package.json')), import.meta.url]) {
    try {
      return pathToFileURL(createRequire(place).resolve(name));
    } catch {
      // Not installed there.
    }
  }
  return undefined;
}
