import { parseArgs } from 'node:util';
import type { Tier } from '../scenario.ts';
import { doctor } from './doctor.ts';
import { explain } from './explain.ts';
import { loadHarness } from './harness-file.ts';
import { matrixCommand } from './matrix.ts';
import { replayCommand } from './model-run.ts';
import { mutantsCommand } from './mutants.ts';
import { runCommand } from './run.ts';
import { type Terminal, UsageError } from './terminal.ts';

const usage = `millrace-conformance: does a broker keep the Millrace contract?

  run <harness>          runs the scenarios        --only LSE,STM-01  --tier core,extended,fault
                                                   --concurrency 4  --repeat 1  --reports <folder>
                                                   --model <programs>  --seed <number>
  doctor <harness>       leads from a stub to Core: what is missing, one step after the other
  explain <id>           what LSE-04 or R-LSE-4 demands, why, and which bug it catches
  mutants <harness>      breaks the broker on purpose, in every way  --only <name>
  replay <harness> "seed=…,path=…"    runs the program of a failing model run again
  matrix <report.json>…  the table of what brokers claim and proved

A harness is a module that exports \`harness\`; see the adapter guide. Exit codes: 0 fine, 1 something failed, 2 misused.`;

const options = {
  only: { type: 'string' },
  tier: { type: 'string' },
  concurrency: { type: 'string' },
  repeat: { type: 'string' },
  reports: { type: 'string' },
  model: { type: 'string' },
  seed: { type: 'string' },
  help: { type: 'boolean', short: 'h' },
} as const;

type Values = ReturnType<typeof parseArgs<{ options: typeof options; allowPositionals: true }>>['values'];

/** What the command line says, done. Resolves to the exit code: 0 fine, 1 something failed, 2 misused. */
export async function runCli(args: readonly string[], terminal: Terminal): Promise<number> {
  try {
    const { values, positionals } = parse(args);
    const [command, ...rest] = positionals;
    if (values.help === true || command === undefined || command === 'help') {
      terminal.out(usage);
      return values.help === true || command === 'help' ? 0 : 2;
    }
    return (await dispatch(command, rest, values, terminal)) ? 0 : 1;
  } catch (error) {
    if (error instanceof UsageError) {
      terminal.err(error.message);
      return 2;
    }
    terminal.err(error instanceof Error ? (error.stack ?? error.message) : String(error));
    return 1;
  }
}

function parse(args: readonly string[]): { values: Values; positionals: string[] } {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

async function dispatch(
  command: string,
  rest: readonly string[],
  values: Values,
  terminal: Terminal,
): Promise<boolean> {
  const [first, second] = rest;
  const only = list(values.only);
  if (command === 'explain') return tellExplanation(first, terminal);
  if (command === 'matrix') return matrixCommand(rest, terminal);
  if (!['run', 'doctor', 'mutants', 'replay'].includes(command)) {
    throw new UsageError(`there is no command "${command}"; see millrace-conformance --help`);
  }
  const tiers = tiersOf(values.tier);
  const numbers = {
    ...number('concurrency', values.concurrency, 1),
    ...number('repeat', values.repeat, 1),
    ...number('model', values.model, 0),
    ...number('seed', values.seed, Number.MIN_SAFE_INTEGER),
  };
  const { harness, close } = await loadHarness(first);
  const file = first ?? '';
  try {
    if (command === 'doctor') return await doctor(harness, terminal);
    if (command === 'mutants') return await mutantsCommand(harness, only, terminal);
    if (command === 'replay') return await replayCommand(harness, second, file, terminal);
    const request = {
      file,
      ...numbers,
      ...(only && { only: only.map((name) => name.toUpperCase()) }),
      ...(tiers && { tiers }),
      ...(values.reports !== undefined && { reports: values.reports }),
    };
    return await runCommand(harness, request, terminal);
  } finally {
    await close();
  }
}

function tellExplanation(name: string | undefined, terminal: Terminal): boolean {
  if (name === undefined) throw new UsageError('name a scenario or a rule, such as LSE-04 or R-LSE-4');
  const text = explain(name);
  if (text === undefined) throw new UsageError(`there is no scenario and no rule ${name}`);
  terminal.out(text);
  return true;
}

function list(value: string | undefined): string[] | undefined {
  const names = value?.split(',').flatMap((name) => name.trim() || []);
  return names?.length === 0 ? undefined : names;
}

function tiersOf(value: string | undefined): Tier[] | undefined {
  return list(value)?.map((name) => {
    if (name !== 'core' && name !== 'extended' && name !== 'fault')
      throw new UsageError(`--tier ${name}: there are core, extended and fault`);
    return name;
  });
}

function number<K extends string>(name: K, value: string | undefined, least: number): { [key in K]?: number } {
  if (value === undefined) return {};
  const parsed = Number(value);
  if (value.trim() === '' || !Number.isInteger(parsed) || parsed < least)
    throw new UsageError(`--${name} ${value}: a whole number${least > 0 ? `, at least ${least}` : ''}`);
  return { [name]: parsed } as { [key in K]?: number };
}
