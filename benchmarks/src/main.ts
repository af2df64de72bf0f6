// pnpm bench: measures, prints, and writes the report. Started by tools/bench.mjs with the server's address.
import { readMachine } from './machine.ts';
import { readOptions } from './options.ts';
import { buildReport } from './report/build.ts';
import { toMarkdown } from './report/markdown.ts';
import { writeReport } from './report/write.ts';
import { runRounds } from './rounds.ts';

const serverUrl = process.env.MILLRACE_BENCH_POSTGRES_URL;
const folder = process.env.MILLRACE_BENCH_FOLDER;
if (serverUrl === undefined || folder === undefined) throw new Error('start it with: pnpm bench');

const options = readOptions(process.argv.slice(2), folder);
const machine = await readMachine(serverUrl, folder);
const series = await runRounds(serverUrl, options);
const report = await buildReport(series, options, machine);
console.log(`\n${toMarkdown(report)}`);
if (options.report !== undefined) await writeReport(report, options.report);
