// Every ```ts block of the guides compiles, strictly, against the sources: what stands there can be copied.
//
// A block that begins with `// tasks.ts` is a file of that name; the other blocks of its guide import it from there.
// `<!-- given … -->` holds code that all following blocks of the guide get, such as `declare const client: …`.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import ts from 'typescript';
import { expect, test } from 'vitest';
import { filesBelow, root } from './workspace.mjs';

const PARTS = /<!-- given\n([\s\S]*?)-->|^```ts\n([\s\S]*?)^```$/gm;
// A sample may use whatever one of these packages may use; types of drivers are with the first.
const HOMES = ['packages/postgres', 'examples/digest'].map((folder) => path.join(root, folder));

// The adapter guide's sample imports what its reader is about to write.
const guides = filesBelow('docs').filter(
  (file) => /^docs\/[a-z-]+\.md$/.test(file) && file !== 'docs/adapter-guide.md',
);
const samples = new Map(guides.flatMap(samplesOf));
let diagnostics;

test.each(guides)('%s: its samples compile', { timeout: 60_000 }, (guide) => {
  diagnostics ??= compile();
  expect(diagnostics.filter((problem) => problem.startsWith(`${guide}:`))).toEqual([]);
});

/** @returns {[string, { guide: string, text: string, line: number }][]} samples by the path they pretend to have */
function samplesOf(guide) {
  const markdown = readFileSync(path.join(root, guide), 'utf8');
  let given = '';
  return [...markdown.matchAll(PARTS)].flatMap(({ 1: more, 2: code, index }, position) => {
    if (more !== undefined) {
      given += more;
      return [];
    }
    const name = /^\/\/ ([a-z.-]+\.ts)\b/.exec(code)?.[1] ?? `sample-${position}.ts`;
    const folder = path.join(root, 'examples', '.samples', path.basename(guide, '.md'));
    // Where the code begins in the guide, less the lines put before it.
    const line = markdown.slice(0, index).split('\n').length - (given.split('\n').length - 1);
    return [[path.join(folder, name), { guide, text: given + code, line }]];
  });
}

/** @returns {string[]} what the compiler says, with the place in the guide */
function compile() {
  const configured = ts.getParsedCommandLineOfConfigFile(
    path.join(root, 'tsconfig.base.json'),
    { isolatedDeclarations: false, declaration: false, noEmit: true },
    { ...ts.sys, onUnRecoverableConfigFileDiagnostic: (problem) => expect.fail(messageOf(problem)) },
  );
  const host = createHost(configured.options);
  const program = ts.createProgram([...samples.keys()], configured.options, host);
  return [...samples].flatMap(([file, { guide, line }]) =>
    ts.getPreEmitDiagnostics(program, program.getSourceFile(file)).map((problem) => {
      const place = problem.file?.getLineAndCharacterOfPosition(problem.start ?? 0).line ?? 0;
      return `${guide}:${line + place + 1} ${messageOf(problem)}`;
    }),
  );
}

function createHost(options) {
  const host = ts.createCompilerHost(options);
  const { directoryExists, fileExists, readFile } = host;
  const folders = new Set([...samples.keys()].map((file) => path.dirname(file)));
  host.directoryExists = (folder) => folders.has(folder) || directoryExists(folder);
  host.fileExists = (file) => samples.has(file) || fileExists(file);
  host.readFile = (file) => samples.get(file)?.text ?? readFile(file);
  const cache = ts.createModuleResolutionCache(root, (name) => name, options);
  host.resolveModuleNameLiterals = (literals, from, redirected, _options, source) =>
    literals.map((literal) => {
      const homes = samples.has(from) && !literal.text.startsWith('.') ? HOMES : [path.dirname(from)];
      const mode = ts.getModeForUsageLocation(source, literal, options);
      const results = homes.map((home) =>
        ts.resolveModuleName(literal.text, path.join(home, 'sample.ts'), options, host, cache, redirected, mode),
      );
      return results.find(({ resolvedModule }) => resolvedModule !== undefined) ?? results[0];
    });
  return host;
}

function messageOf(problem) {
  return ts.flattenDiagnosticMessageText(problem.messageText, '\n');
}
