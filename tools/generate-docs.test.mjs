import { expect, test } from 'vitest';
import { fillRegions } from './generate-docs.mjs';

const page = 'before\n<!-- generated:states -->\nold\n<!-- /generated:states -->\nafter\n';

test('a region is replaced, the rest is kept', async () => {
  const filled = await fillRegions('a.md', page, { states: () => '| new |\n' });
  expect(filled).toBe('before\n<!-- generated:states -->\n| new |\n<!-- /generated:states -->\nafter\n');
});

test('a region nobody produces is an error', async () => {
  await expect(fillRegions('a.md', page, {})).rejects.toThrow(/nothing in tools\/docs produces "states"/);
});

test('a region that is not closed is an error', async () => {
  await expect(fillRegions('a.md', '<!-- generated:states -->\nold\n', {})).rejects.toThrow(/not closed/);
});
