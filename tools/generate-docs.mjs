// Fills the marked regions of Markdown files, <!-- generated:NAME --> … <!-- /generated:NAME -->, from the code.
// Each tools/docs/NAME.mjs exports `produce()`, which returns the Markdown of its region. `--check` fails on drift.
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { register } from 'tsx/esm/api';
import { filesBelow, root } from './workspace.mjs';

const REGION = /(<!-- generated:([a-z0-9-]+) -->\n)([\s\S]*?)(<!-- \/generated:\2 -->)/g;

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  // Producers import the sources they document, which are TypeScript.
  register();
  const check = process.argv.includes('--check');
  const producers = await loadProducers();
  for (const file of filesBelow('.').filter((name) => name.endsWith('.md'))) {
    const text = readFileSync(path.join(root, file), 'utf8');
    const wanted = await fillRegions(file, text, producers);
    if (wanted === text) continue;
    if (check) {
      console.error(`${file} does not say what the code says; run \`pnpm generate\`.`);
      process.exitCode = 1;
    } else writeFileSync(path.join(root, file), wanted);
  }
}

async function loadProducers() {
  const files = filesBelow('tools/docs').filter((file) => file.endsWith('.mjs') && !file.endsWith('.test.mjs'));
  const entries = files.map(async (file) => {
    const { produce } = await import(pathToFileURL(path.join(root, file)).href);
    return [path.basename(file, '.mjs'), produce];
  });
  return Object.fromEntries(await Promise.all(entries));
}

/** @param {Record<string, () => string | Promise<string>>} producers by region name */
export async function fillRegions(file, text, producers) {
  const contents = {};
  for (const [, , name] of text.matchAll(REGION)) {
    if (!Object.hasOwn(producers, name)) throw new Error(`${file}: nothing in tools/docs produces "${name}"`);
    contents[name] ??= (await producers[name]()).trim();
  }
  const filled = text.replace(REGION, (_, open, name, _old, close) => `${open}${contents[name]}\n${close}`);
  const markers = text.match(/^<!-- \/?generated:/gm)?.length ?? 0;
  const used = [...text.matchAll(REGION)].length * 2;
  if (markers !== used) throw new Error(`${file}: a generated region is not closed, or not opened`);
  return filled;
}
