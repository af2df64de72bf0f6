/**
 * The suite that proves a Millrace broker keeps the contract: scenarios as data, run by any test runner or none.
 *
 * @module
 */
export type { Cell } from './context/checks.ts';
export { type ConformanceOptions, defineConformance, type TestRunner } from './define-conformance.ts';
export { runConformanceWorker } from './faults/worker-entry.ts';
export type { BrokerHarness, Hooks, Target, VirtualClock } from './harness.ts';
export { mutants, undamaged } from './mutants/index.ts';
export type { Mutant } from './mutants/mutant.ts';
export { type MutantResult, runMutants } from './mutants/run-mutants.ts';
export { capabilityMatrix } from './report/matrix.ts';
export {
  type ConformanceReport,
  committedReport,
  type ReportedScenario,
  specVersion,
  type Tally,
} from './report/report.ts';
export { type RunOptions, runConformance } from './run-conformance.ts';
export type { ScenarioResult, Status } from './run-scenario.ts';
export type { Need, Obstacle, Scenario, Tier } from './scenario.ts';
export { scenarios } from './scenarios/index.ts';
