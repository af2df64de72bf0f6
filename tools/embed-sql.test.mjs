import { expect, test } from 'vitest';
import { render } from './embed-sql.mjs';

const header = '-- Inputs: none. Result: none. Locks: none. Cost: none.\n';

test('a file becomes a constant named after it, without its header', () => {
  const module = render({ 'claim-tasks.sql': `${header}-- more\n\nselect 1 -- kept\n` }, '.sql');
  expect(module).toContain('export const claimTasks: string = `select 1 -- kept`;');
});

test('what a template literal would read as its own is escaped', () => {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the very thing that must not be read as a template
  const text = "select '\\d', `x`, $1, ${y}";
  const module = render({ 'odd.sql': `${header}${text}` }, '.sql');
  const written = /= (`[\s\S]*`);/.exec(module)?.[1];
  expect(new Function(`return ${written}`)()).toBe(text);
});

test('migrations become one ordered list', () => {
  const module = render(
    { 'migrations/0002-more.sql': `${header}b`, 'migrations/0001-tasks.sql': `${header}a` },
    '.sql',
  );
  expect(module).toMatch(/version: 1, name: 'tasks', sql: `a`[\s\S]*version: 2, name: 'more', sql: `b`/);
});

test.each([
  ['a gap in the migrations', { 'migrations/0002-more.sql': `${header}b` }, /without a gap/],
  ['no header', { 'claim.sql': 'select 1' }, /header comment/],
  ['a word of the language', { 'delete.sql': `${header}select 1` }, /word of the language/],
  ['a folder', { 'claim/one.sql': `${header}select 1` }, /only a folder named migrations/],
])('%s is refused', (_, texts, message) => {
  expect(() => render(texts, '.sql')).toThrow(message);
});
