import { faultMutants } from '../faults/fault-mutants.ts';
import { mutants } from '../mutants/index.ts';
import { groupOf, type Scenario } from '../scenario.ts';
import { scenarios } from '../scenarios/index.ts';
import { groupReasons, invariantReasons } from '../spec/reasons.ts';
import { type Rule, rules } from '../spec/rules.ts';

/**
 * What a scenario or a rule is about: the rule, why it is there, and the bugs it catches. `undefined` when there is
 * neither of that name.
 */
export function explain(name: string): string | undefined {
  const id = name.toUpperCase();
  const scenario = scenarios.find((each) => each.id === id);
  if (scenario !== undefined) return explainScenario(scenario);
  const rule = rules.find((each) => each.id === id || each.id === `R-${id}`);
  return rule && explainRule(rule);
}

function explainScenario(scenario: Scenario): string {
  const { id, title, tier, rule: ruleId } = scenario;
  const rule = rules.find((each) => each.id === ruleId);
  return [
    `${id} (${tier}): ${title}`,
    '',
    `rule    ${ruleId}: ${rule?.text ?? 'it is not in this version of the contract'}`,
    ...(rule ? reasonsOf(rule).map((reason, index) => `${index === 0 ? 'reason ' : '       '} ${reason}`) : []),
    ...bugsOf(scenario).map((bug, index) => `${index === 0 ? 'catches' : '       '} ${bug}`),
    ...(scenario.alone ? ['note    it runs alone: it mistreats what others use'] : []),
    ...(scenario.provisional ? ['note    it is provisional: its failure is reported and fails nothing'] : []),
  ].join('\n');
}

function explainRule(rule: Rule): string {
  const { id, text, scenarios: ids } = rule;
  const evidence = ids.map((each) => {
    const scenario = scenarios.find((candidate) => candidate.id === each);
    return `  ${each}  ${scenario?.title ?? ''}`;
  });
  return [
    `${id}: ${text}`,
    '',
    ...reasonsOf(rule).map((reason, index) => `${index === 0 ? 'reason ' : '       '} ${reason}`),
    ...(evidence.length === 0 ? ['unverified: no scenario checks it yet'] : ['checked by', ...evidence]),
  ].join('\n');
}

/** Why a rule is there: what its invariants are for, or its group. */
function reasonsOf({ id, invariants }: Rule): string[] {
  const specific = invariants.flatMap((name) => {
    const reason = invariantReasons[name];
    return reason === undefined ? [] : [`${reason} (${name})`];
  });
  const general = groupReasons[id.slice(2, 5)];
  return specific.length > 0 ? specific : general === undefined ? [] : [general];
}

/** Broken brokers of the suite that this scenario is there for; without one, its own sentence turned round. */
function bugsOf(scenario: Scenario): string[] {
  const caught = [...mutants, ...faultMutants].filter((mutant) => mutant.caughtBy === scenario.id);
  if (caught.length > 0) return caught.map(({ name, defect }) => `${defect} (mutant ${name})`);
  return [`a broker of which this is not true: ${scenario.title}`, `(${groupReasons[groupOf(scenario)] ?? ''})`];
}
