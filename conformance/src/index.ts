/**
 * The suite that proves a Millrace broker keeps the contract: scenarios as data, run by any test runner or none.
 *
 * @module
 */
export type { Cell } from './context/checks.ts';
export { type ConformanceOptions, defineConformance, type TestRunner } from './define-conformance.ts';
export { clockSkewPreload } from './faults/clock-skew.ts';
export { faultMutants } from './faults/fault-mutants.ts';
export { faultScenarios } from './faults/fault-scenarios.ts';
export { type LocalServer, type LocalServerOptions, localServer, type ServerPlace } from './faults/local-server.ts';
export { type NemesisFault, networkFaults, runNemesis } from './faults/nemesis.ts';
export { serverScenarios } from './faults/scenarios-server.ts';
export type { Endpoint, Server } from './faults/server.ts';
export { type ProxyOptions, startProxy, TcpProxy } from './faults/tcp-proxy.ts';
export { runConformanceWorker } from './faults/worker-entry.ts';
export { startWorkerProcess, type WorkerProcess, type WorkerProcessRequest } from './faults/worker-process.ts';
export type { Script } from './faults/worker-script.ts';
export type { BrokerHarness, Hooks, Impairment, Target, VirtualClock, Waiver } from './harness.ts';
export type { CheckedCapabilities, CheckOptions } from './history/check-options.ts';
export { checkHistory, type HistoryCounts, type HistoryReport } from './history/checker.ts';
export { type ContentionReport, checkContention } from './history/contention.ts';
export type { HistoryEvent } from './history/event.ts';
export type { Guarantee, GuaranteeFound, RefutedGuarantee } from './history/guarantee.ts';
export {
  type FileJournal,
  fileJournal,
  type Journal,
  type MemoryJournal,
  memoryJournal,
  readJournals,
} from './history/journal.ts';
export { recordBroker } from './history/recorded-broker.ts';
export { Recorder, type RecorderOptions } from './history/recorder.ts';
export { renderWitnessHtml } from './history/render-html.ts';
export { renderReport, renderWitness } from './history/render-text.ts';
export { linearize, type SequentialModel } from './history/wgl.ts';
export type { Command } from './model/command.ts';
export {
  type ModelFailure,
  type ModelOptions,
  type ModelReport,
  parseReplay,
  replayProgram,
  runModel,
} from './model/run-model.ts';
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
