// node tools/soak.mjs --backend amqp [--tasks 100000] [--delays 10000] [--only faults,delays,restart]
import { parseArgs } from 'node:util';
import { soakDelays, soakFaults } from './soak.ts';

const { values } = parseArgs({
  options: {
    tasks: { type: 'string', default: '100000' },
    delays: { type: 'string', default: '10000' },
    only: { type: 'string', default: 'faults,delays,restart' },
  },
});
const only = values.only.split(',');
const log = (line: string): void => console.log(`  ${line}`);
const spread = { leastMs: 1_000, mostMs: 60_000 };
let failed = false;

function report(title: string, figures: object, bad: boolean): void {
  console.log(`${bad ? 'MISS' : 'ok  '} ${title}: ${JSON.stringify(figures)}`);
  failed ||= bad;
}

if (only.includes('faults')) {
  console.log(`${values.tasks} tasks while the server is restarted, killed and frozen, and links are cut`);
  const found = await soakFaults({ tasks: Number(values.tasks), log });
  const { missing, ...rest } = found;
  report('faults', { ...rest, missing: missing.length }, missing.length > 0 || found.dead > 0);
}
for (const [name, restart] of [
  ['delays', undefined],
  ['restart', 'graceful'],
] as const) {
  if (!only.includes(name)) continue;
  console.log(
    `${values.delays} tasks due after 1 to 60 s${restart === undefined ? '' : ', the server restarted in the middle'}`,
  );
  const found = await soakDelays(
    { tasks: Number(values.delays), log },
    { ...spread, ...(restart !== undefined && { restart }) },
  );
  report(name, found, found.missing > 0 || found.early > 0 || found.p99Served > 1_500);
}
process.exitCode = failed ? 1 : 0;
