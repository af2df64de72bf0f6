// Who may import whom (ARCHITECTURE.md). Type imports count: a type dependency is a dependency.
import path from 'node:path';
import ts from 'typescript';

const SCOPE = '@millrace/';
const ADAPTERS = ['memory', 'postgres', 'redis', 'amqp'];

/** Packages of ours that files below a folder may import; the first folder that matches decides. */
const PACKAGE_RULES = [
  { below: 'packages/core/', may: [] },
  // A guard is a value of another adapter's: only tests put the two together.
  { below: 'packages/amqp/test/', may: ['core', 'conformance', ...ADAPTERS] },
  ...ADAPTERS.flatMap((name) => [
    { below: `packages/${name}/src/`, may: ['core'] },
    { below: `packages/${name}/`, may: ['core', 'conformance', name] },
  ]),
  { below: 'conformance/', may: ['core'] },
  { below: 'examples/', may: ['core', 'conformance', ...ADAPTERS] },
  { below: 'benchmarks/', may: ['core', 'conformance', ...ADAPTERS] },
];

const MODEL = ['task', 'state-machine', 'retry-policy', 'duration', 'errors', 'known-options'].map(
  (name) => `packages/core/src/${name}.ts`,
);

/** Files inside core that may import only some of core. Tests are free: they check from outside. */
const CORE_RULES = [
  { name: 'the model', files: (file) => MODEL.includes(file), may: (target) => MODEL.includes(target) },
  {
    name: 'the broker contract',
    files: (file) => file.startsWith('packages/core/src/broker/'),
    may: (target) => target.startsWith('packages/core/src/broker/') || MODEL.includes(target),
  },
];

/** @param {Map<string, string>} sources text by path @returns {string[]} problems */
export function checkDependencies(sources) {
  return [...sources].flatMap(([file, text]) =>
    ts
      .preProcessFile(text, true, true)
      .importedFiles.map(({ fileName }) => problemOf(file, fileName))
      .filter((problem) => problem !== undefined)
      .map((problem) => `${file}: ${problem}`),
  );
}

function problemOf(file, specifier) {
  if (specifier.startsWith('.')) return relativeProblem(file, path.posix.join(path.posix.dirname(file), specifier));
  if (!specifier.startsWith(SCOPE)) return undefined;
  const name = specifier.slice(SCOPE.length).split('/')[0];
  const rule = PACKAGE_RULES.find(({ below }) => file.startsWith(below));
  if (rule === undefined || rule.may.includes(name)) return undefined;
  return `imports ${specifier}; files below ${rule.below} may import ${rule.may.map((one) => SCOPE + one).join(', ') || 'nothing of ours'}`;
}

function relativeProblem(file, target) {
  const home = /^(packages\/[^/]+|examples\/[^/]+|conformance|benchmarks)\//.exec(file)?.[0];
  if (home === undefined || file.endsWith('/tsup.config.ts')) return undefined;
  if (!target.startsWith(home)) return `imports ${target}, a file of another package; import the package`;
  if (/\.test(-d)?\.ts$/.test(file)) return undefined;
  const broken = CORE_RULES.find((rule) => rule.files(file) && !rule.may(target));
  return broken && `imports ${target}; ${broken.name} may not`;
}
