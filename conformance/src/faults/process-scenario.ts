import { processes } from '../needs.ts';
import type { Need, Scenario } from '../scenario.ts';

/** A scenario that runs, and mistreats, worker processes. */
export function processScenario(
  scenario: Omit<Scenario, 'tier' | 'rule' | 'needs'> & { readonly needs?: readonly Need[] },
): Scenario {
  const [group, number] = scenario.id.split('-');
  return {
    ...scenario,
    rule: `R-${group}-${Number(number)}`,
    tier: 'fault',
    needs: [processes, ...(scenario.needs ?? [])],
  };
}
