import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect } from 'vitest';

const program = 'sha256sum';

/** Whether GNU sha256sum is there; macOS has another one. */
export const hasSha256sum: boolean = (() => {
  try {
    return execFileSync(program, ['--version'], { encoding: 'utf8' }).includes('GNU');
  } catch {
    return false;
  }
})();

/** Checks that a folder's SHA256SUMS has so many lines, sorted, each once, and that `sha256sum -c` accepts them. */
export function expectSums(folder: string, files: number, sums = path.join(folder, 'SHA256SUMS')): void {
  const lines = readFileSync(sums, 'latin1').split('\n').slice(0, -1);
  expect(lines).toHaveLength(files);
  expect(new Set(lines).size).toBe(files);
  if (!hasSha256sum || files === 0) return;
  expect(execFileSync(program, ['--quiet', '--strict', '-c', sums], { cwd: folder, encoding: 'latin1' })).toBe('');
}
