import type { Circumstances } from '../context/scenario-context.ts';
import type { BrokerHarness } from '../harness.ts';
import { runScenario, type Status } from '../run-scenario.ts';
import type { Scenario } from '../scenario.ts';
import { scenarios as allScenarios } from '../scenarios/index.ts';
import { askCapabilities, surveyBroker } from '../survey.ts';
import { mutants as allMutants } from './index.ts';
import type { Mutant } from './mutant.ts';

/** What became of one broken broker. */
export interface MutantResult {
  readonly name: string;
  readonly defect: string;
  readonly scenario: string;
  /** Whether the scenario it names failed, as it must. */
  readonly caught: boolean;
  readonly status: Status;
  /** What the scenario said. */
  readonly reason: string | undefined;
}

/** Breaks the broker of a harness, one defect at a time, and runs the scenario that has to notice. */
export async function runMutants(
  harness: BrokerHarness,
  options: { readonly mutants?: readonly Mutant[]; readonly scenarios?: readonly Scenario[] } = {},
): Promise<MutantResult[]> {
  const results: MutantResult[] = [];
  for (const mutant of options.mutants ?? allMutants) {
    results.push(await runMutant(mutant, harness, options.scenarios ?? allScenarios));
  }
  return results;
}

async function runMutant(
  mutant: Mutant,
  harness: BrokerHarness,
  scenarios: readonly Scenario[],
): Promise<MutantResult> {
  const { name, defect, caughtBy } = mutant;
  const scenario = scenarios.find(({ id }) => id === caughtBy);
  if (scenario === undefined) throw new Error(`mutant ${name} names the scenario ${caughtBy}, which is not there`);
  const measured = await surveyOnce(harness);
  const broken = mutant.breakHarness(harness);
  // Asked anew for each: some mutants lie about what they can do.
  const capabilities = await askCapabilities(broken);
  const { status, reason } = await runScenario(scenario, { ...measured, harness: broken, capabilities });
  return { name, defect, scenario: caughtBy, caught: status === 'fail', status, reason };
}

const surveys = new WeakMap<BrokerHarness, Promise<Circumstances>>();

/** How fast the broker is here while it is whole, measured before the first mutant: broken ones may run beside each other. */
function surveyOnce(harness: BrokerHarness): Promise<Circumstances> {
  let survey = surveys.get(harness);
  if (survey === undefined) {
    survey = surveyBroker(harness);
    surveys.set(harness, survey);
  }
  return survey;
}
