// The rules of ARCHITECTURE.md that a script can check: who imports whom, which files stand where, how long, what name.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { checkAdapterFiles } from './structure/adapter-files.mjs';
import { checkDependencies } from './structure/dependency-rule.mjs';
import { checkFileBudget } from './structure/file-budget.mjs';
import { checkNames } from './structure/names.mjs';
import { filesBelow, root } from './workspace.mjs';

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { problems, listed } = checkStructure(root);
  if (listed.length > 0) console.log(`Long, not yet too long:\n  ${listed.join('\n  ')}`);
  for (const problem of problems) console.error(problem);
  process.exitCode = problems.length > 0 ? 1 : 0;
}

/** @returns {{ problems: string[], listed: string[] }} what breaks a rule, and files that come near the budget */
export function checkStructure(workspace) {
  const files = ['packages', 'conformance', 'examples', 'benchmarks', 'tools'].flatMap((folder) =>
    filesBelow(folder, workspace),
  );
  const code = files.filter((file) => /\.[cm]?[jt]sx?$/.test(file));
  const sources = new Map(code.map((file) => [file, readFileSync(path.join(workspace, file), 'utf8')]));
  const budget = checkFileBudget(sources);
  const problems = [
    ...checkDependencies(sources),
    ...checkAdapterFiles(files),
    ...checkNames(sources),
    ...budget.problems,
  ];
  return { problems, listed: budget.listed };
}
