import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, expect, it } from 'vitest';
import { bundledModule } from './bundled-module.ts';
import { startWorkerProcess } from './worker-process.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'millrace-bundle-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function write(file: string, text: string): string {
  const target = path.join(folder, file);
  mkdirSync(path.dirname(target), { recursive: true });
  writeFileSync(target, text);
  return target;
}

/** A package that has one dependency installed and another linked from its workspace, where it is TypeScript. */
function workerPackage(): URL {
  write('adapter/package.json', '{ "dependencies": { "linked": "workspace:*", "there": "1" } }');
  write('adapter/node_modules/there/package.json', '{ "type": "module", "exports": "./index.js" }');
  write('adapter/node_modules/there/index.js', 'export const there = import.meta.url;');
  const linked = write('linked/package.json', '{ "type": "module", "exports": "./index.ts" }');
  write('linked/index.ts', "export const linked: string = 'linked';");
  symlinkSync(path.dirname(linked), path.join(folder, 'adapter/node_modules/linked'));
  write('adapter/part.ts', "export enum Part { one = 'part' }");
  return pathToFileURL(
    write(
      'adapter/worker.ts',
      `import { linked } from 'linked';
import { there } from 'there';
import { Part } from './part.ts';
console.log(JSON.stringify([linked, there, Part.one, process.execArgv.some((flag) => flag.startsWith('--import'))]));`,
    ),
  );
}

it('makes one file of what is TypeScript, which runs by itself and finds the rest', async () => {
  const worker = startWorkerProcess({ module: workerPackage(), bundle: true, url: '', namespace: 'n' });
  await worker.exited;
  const there = pathToFileURL(path.join(folder, 'adapter/node_modules/there/index.js')).href;
  expect(JSON.parse(worker.output())).toEqual(['linked', there, 'part', false]);
  await worker.close();
});

it('makes it once, in the package, whatever asks', () => {
  const module = pathToFileURL(path.join(folder, 'adapter/worker.ts'));
  const bundle = bundledModule(module);
  expect(path.relative(folder, fileURLToPath(bundle ?? ''))).toMatch(
    /^adapter\/node_modules\/\.cache\/millrace\/worker-[0-9a-f]{8}\.mjs$/,
  );
  expect(bundledModule(module)).toBe(bundle);
});

it('leaves alone what is JavaScript, lies in no package, or is not right', () => {
  expect(bundledModule(pathToFileURL(write('adapter/worker.mjs', '')))).toBeUndefined();
  expect(bundledModule(pathToFileURL(write('nowhere/worker.ts', '')))).toBeUndefined();
  expect(bundledModule(pathToFileURL(write('adapter/wrong.ts', "import './missing.ts';")))).toBeUndefined();
});
