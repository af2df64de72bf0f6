// pnpm bench: measures one kind of server, prints, and writes the report. Started by tools/bench.mjs.
import { openBackend } from './backends/index.ts';
import { familyNamed } from './families/index.ts';
import { readMachine } from './machine.ts';
import { readOptions } from './options.ts';
import { buildReport } from './report/build.ts';
import { toMarkdown } from './report/markdown.ts';
import { writeReport } from './report/write.ts';
import { type Results, runRounds } from './rounds.ts';

const folder = process.env.MILLRACE_BENCH_FOLDER;
if (folder === undefined) throw new Error('start it with: pnpm bench');

const family = familyNamed(process.env.MILLRACE_BENCH_BACKEND);
const options = readOptions(process.argv.slice(2), family, folder);
const backend = await openBackend(family.name, process.env);
try {
  const machine = readMachine(await backend.facts(), folder, family.packages);
  const reportOf = (results: Results): ReturnType<typeof buildReport> => buildReport(results, family, options, machine);
  const write = async (results: Results): Promise<void> => {
    if (options.report !== undefined) await writeReport(await reportOf(results), options.report);
  };
  const results = await runRounds(backend, family, options, write);
  await write(results);
  console.log(`\n${toMarkdown(await reportOf(results))}`);
} finally {
  await backend.close();
}
