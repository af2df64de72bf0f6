// Every adapter has the same files with the same names: a reader who knows one knows all.

/** @type {Record<string, { without?: string[], layout?: string }>} what each adapter has beyond or short of the rest */
const ADAPTERS = {
  memory: { without: ['connection.ts'] },
  postgres: { layout: 'schema.ts' },
  redis: { layout: 'keys.ts' },
  // RabbitMQ alone keeps messages, not records: there is nothing to look up.
  amqp: { without: ['task-store.ts'], layout: 'topology.ts' },
};

/** @param {string[]} files all paths of the workspace @returns {string[]} problems */
export function checkAdapterFiles(files) {
  const present = new Set(files);
  return Object.entries(ADAPTERS).flatMap(([name, { without = [], layout }]) => {
    const folder = `packages/${name}`;
    if (!files.some((file) => file.startsWith(`${folder}/src/`))) return [];
    const sources = [
      'index.ts',
      `${name}-broker.ts`,
      'options.ts',
      'connection.ts',
      'session.ts',
      'task-store.ts',
      layout,
    ]
      .filter((file) => file !== undefined && !without.includes(file))
      .map((file) => `src/${file}`);
    const missing = [...sources, 'test/harness.ts', 'README.md'].filter((file) => !present.has(`${folder}/${file}`));
    const problems = missing.map((file) => `${folder}: ${file} is missing; every adapter has it`);
    const isSuite = (file) =>
      file.startsWith(`${folder}/test/`) && /\/([a-z]+-)?conformance[^/]*\.test\.ts$/.test(file);
    return files.some(isSuite) ? problems : [...problems, `${folder}: test/conformance.test.ts is missing`];
  });
}
