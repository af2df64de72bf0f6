// Names that say what a thing is: no drawers for leftovers, no second name for an export.

const DRAWERS = new Set(['util', 'utils', 'common', 'shared', 'helper', 'helpers', 'misc']);
// Tools read these by their default export.
const DEFAULT_EXPORT_EXPECTED = /(^|\/)[a-z-]+\.config\.[a-z]+$|^tools\/summary-reporter\.mjs$/;

/** @param {Map<string, string>} sources text by path @returns {string[]} problems */
export function checkNames(sources) {
  const problems = [];
  for (const [file, text] of sources) {
    const drawer = file.split('/').find((part) => DRAWERS.has(part.split('.')[0]));
    if (drawer !== undefined) problems.push(`${file}: "${drawer}" says nothing about what is in it`);
    if (/^export\s+(type\s+)?\*/m.test(text)) problems.push(`${file}: \`export *\`; name what is exported`);
    const hasDefault = /^export\s+(default\b|\{[^}]*\bas\s+default\b)/m.test(text);
    if (hasDefault && !DEFAULT_EXPORT_EXPECTED.test(file)) problems.push(`${file}: a default export; give it a name`);
  }
  return problems;
}
