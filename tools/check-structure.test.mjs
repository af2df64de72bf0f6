import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { checkStructure } from './check-structure.mjs';

let workspace;
beforeEach(() => {
  workspace = mkdtempSync(path.join(tmpdir(), 'millrace-structure-'));
});
afterEach(() => rmSync(workspace, { recursive: true }));

function problemsWith(file, text) {
  mkdirSync(path.join(workspace, path.dirname(file)), { recursive: true });
  writeFileSync(path.join(workspace, file), text);
  return checkStructure(workspace).problems;
}

test.each([
  ['core may import nothing of ours', 'packages/core/src/a.ts', "import '@millrace/memory';", 'nothing of ours'],
  ['type imports count', 'packages/redis/src/a.ts', "import type { A } from '@millrace/memory';", '@millrace/core'],
  ['dynamic imports count', 'conformance/src/a.ts', "await import('@millrace/postgres');", '@millrace/core'],
  ['no file of another package', 'packages/core/src/a.ts', "import '../../memory/src/a.ts';", 'another package'],
  ['the contract sees the model only', 'packages/core/src/broker/a.ts', "import '../client/a.ts';", 'broker contract'],
  ['the model sees itself only', 'packages/core/src/task.ts', "import './broker/a.ts';", 'the model may not'],
  ['a drawer', 'packages/core/src/utils/a.ts', '', '"utils"'],
  ['export *', 'packages/core/src/a.ts', "export * from './b.ts';", '`export *`'],
  ['a default export', 'packages/core/src/a.ts', 'export default 1;', 'default export'],
  ['a file above the budget', 'packages/core/src/a.ts', '\n'.repeat(401), '400 are the limit'],
  ['an adapter without its files', 'packages/redis/src/index.ts', '', 'src/keys.ts is missing'],
])('refused: %s', (_, file, text, message) => {
  expect(problemsWith(file, text).join('\n')).toContain(message);
});

test.each([
  ['packages/core/src/broker/a.ts', "import type { Task } from '../task.ts';\nimport './session.ts';"],
  ['packages/core/src/task.ts', "import './errors.ts';"],
  ['packages/core/src/a.test.ts', '\n'.repeat(599)],
  ['examples/digest/src/main.ts', "import '@millrace/postgres';\nimport '@millrace/core';"],
  ['packages/core/tsup.config.ts', "import '../../tsup.base.ts';\nexport default {};"],
])('accepted: %s', (file, text) => {
  expect(problemsWith(file, text)).toEqual([]);
});
