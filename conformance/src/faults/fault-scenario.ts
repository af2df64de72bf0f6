import type { ScenarioContext } from '../context/scenario-context.ts';
import type { Need, Scenario } from '../scenario.ts';
import { networked } from './fault-needs.ts';
import { withoutStrayErrors } from './stray-errors.ts';
import { healWires } from './wire.ts';

/** A scenario that breaks the network: needs one, and fails when an error reaches nobody. */
export function faultScenario(
  scenario: Omit<Scenario, 'tier' | 'needs'> & { readonly needs?: readonly Need[] },
): Scenario {
  return {
    ...scenario,
    tier: 'fault',
    needs: [networked, ...(scenario.needs ?? [])],
    async run(t: ScenarioContext) {
      try {
        await withoutStrayErrors(t, () => scenario.run(t));
      } finally {
        healWires(t);
      }
    },
  };
}
