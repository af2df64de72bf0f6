/**
 * Arrays travel as PostgreSQL's text form of them: every driver passes text on as it is, and writing it here costs
 * half of what a driver's own conversion does.
 */

// What JSON escapes in a way an array literal does not understand: control characters and lone surrogates.
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters it looks for
const jsonOnly = /[\u0000-\u001f\ud800-\udfff]/;

/** `text[]` */
export function textArray(items: readonly (string | null | undefined)[]): string {
  let literal = '{';
  for (let index = 0; index < items.length; index++) {
    if (index > 0) literal += ',';
    const item = items[index];
    // The engine's JSON writer escapes quotes and backslashes just as needed, and much faster than a regular expression.
    if (item === null || item === undefined) literal += 'NULL';
    else if (jsonOnly.test(item)) literal += `"${item.replace(/["\\]/g, '\\$&')}"`;
    else literal += JSON.stringify(item);
  }
  return `${literal}}`;
}

/** `integer[]`, `bigint[]`, `smallint[]` or `boolean[]` */
export function plainArray(items: readonly (number | boolean | null | undefined)[]): string {
  let literal = '{';
  for (let index = 0; index < items.length; index++) {
    const item = items[index];
    literal += index > 0 ? ',' : '';
    literal += item === null || item === undefined ? 'NULL' : String(item);
  }
  return `${literal}}`;
}
