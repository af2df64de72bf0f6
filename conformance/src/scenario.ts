import type { Capabilities } from '@millrace/core';
import type { ScenarioContext } from './context/scenario-context.ts';
import type { BrokerHarness } from './harness.ts';
import { allOf } from './needs.ts';

/** `core`: every broker. `extended`: brokers that claim the capability. `fault`: needs a way to break something. */
export type Tier = 'core' | 'extended' | 'fault';

/** Why a scenario cannot run on a broker. */
export interface Obstacle {
  /** `unsupported`: the capability is not claimed (MOD-02 checks the refusal). `not-run`: the harness lacks something. */
  readonly status: 'unsupported' | 'not-run';
  readonly reason: string;
}

/** A condition of a scenario: `true`, or what stands in its way. */
export type Need = (capabilities: Capabilities, harness: BrokerHarness) => true | Obstacle;

/** One promise, checked. Data, so that runners, reports and mutants can pick from it. */
export interface Scenario {
  /** Stable: `LSE-04`. */
  readonly id: string;
  /** The rule of SPEC.md it verifies: `R-LSE-4`. */
  readonly rule: string;
  /** A sentence that says what must hold. */
  readonly title: string;
  readonly tier: Tier;
  readonly needs?: readonly Need[];
  /** New: reported, but its failure does not fail a run. */
  readonly provisional?: true;
  /** What it needs beyond the usual time, as a multiple of it. Default 1. */
  readonly patience?: number;
  /** It mistreats what others use: nothing else may run meanwhile. */
  readonly alone?: true;
  run(t: ScenarioContext): Promise<void>;
}

/** The letters before the dash: `LSE`. */
export function groupOf(scenario: { readonly id: string }): string {
  return scenario.id.slice(0, scenario.id.indexOf('-'));
}

/** The first thing that stands in a scenario's way, or `undefined` when it can run. */
export function findObstacle(
  scenario: Scenario,
  capabilities: Capabilities,
  harness: BrokerHarness,
): Obstacle | undefined {
  const answer = allOf(...(scenario.needs ?? []))(capabilities, harness);
  return answer === true ? undefined : answer;
}
