import { faultMutants } from '../faults/fault-mutants.ts';
import type { BrokerHarness } from '../harness.ts';
import { mutants } from '../mutants/index.ts';
import { runMutants } from '../mutants/run-mutants.ts';
import { type Terminal, UsageError } from './terminal.ts';

/** Breaks the broker of a harness in every known way. Resolves to whether no broken broker got through. */
export async function mutantsCommand(
  harness: BrokerHarness,
  only: readonly string[] | undefined,
  terminal: Terminal,
): Promise<boolean> {
  const all = [...mutants, ...faultMutants];
  for (const name of only ?? []) {
    if (!all.some((mutant) => mutant.name === name)) throw new UsageError(`no mutant ${name}`);
  }
  const chosen = all.filter((mutant) => only === undefined || only.includes(mutant.name));
  let caught = 0;
  let survivors = 0;
  let unseen = 0;
  for (const mutant of chosen) {
    const [result] = await runMutants(harness, { mutants: [mutant] });
    if (result === undefined) continue;
    if (result.caught) caught += 1;
    else if (result.status === 'unsupported' || result.status === 'not-run') unseen += 1;
    else {
      survivors += 1;
      terminal.out(`survived: ${mutant.name}: ${mutant.defect}; ${mutant.caughtBy} is ${result.status}`);
    }
  }
  terminal.out(`${caught} caught, ${survivors} survived, ${unseen} could not be tried on this broker`);
  return survivors === 0;
}
