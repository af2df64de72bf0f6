import { processes } from '../needs.ts';
import type { Need, Scenario } from '../scenario.ts';

/** A scenario that runs, and mistreats, worker processes. */
export function processScenario(
  scenario: Omit<Scenario, 'tier' | 'needs'> & { readonly needs?: readonly Need[] },
): Scenario {
  return {
    ...scenario,
    tier: 'fault',
    needs: [processes, ...(scenario.needs ?? [])],
  };
}
