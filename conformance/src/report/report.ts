import type { Capabilities } from '@millrace/core';
import type { Circumstances } from '../context/scenario-context.ts';
import type { TimeKind } from '../context/tempo.ts';
import type { ScenarioResult, Status } from '../run-scenario.ts';
import { groupOf, type Tier } from '../scenario.ts';

/** Version of SPEC.md that the scenarios verify. */
export const specVersion = '0.1';

/** How many scenarios ended how. */
export interface Tally {
  readonly pass: number;
  readonly fail: number;
  readonly unsupported: number;
  readonly notRun: number;
  readonly error: number;
}

/** One scenario in a report. */
export interface ReportedScenario {
  readonly id: string;
  readonly rule: string;
  readonly status: Status;
  readonly provisional?: true;
  readonly reason?: string;
  readonly clock?: TimeKind;
  readonly assertions?: number;
  readonly cells?: { readonly pass: number; readonly fail: number; readonly notObservable: readonly string[] };
  readonly ms?: number;
}

/** Result of a whole run. JSON; `schema` changes when a field changes its meaning. */
export interface ConformanceReport {
  readonly schema: 1;
  readonly suite: { readonly spec: string; readonly unitMs?: number };
  readonly subject: { readonly name: string };
  readonly backend?: { readonly name: string; readonly version: string };
  readonly environment?: { readonly node: string; readonly platform: string };
  readonly capabilities: Capabilities;
  /** By tier. `success`: nothing failed and nothing that was claimed was left out. */
  readonly profiles: Readonly<Record<Tier, Tally & { readonly result: 'success' | 'partial' | 'failure' }>>;
  /** By group of scenarios, in their order. */
  readonly groups: Readonly<Record<string, Tally>>;
  readonly scenarios: readonly ReportedScenario[];
}

const tiers: readonly Tier[] = ['core', 'extended', 'fault'];

export function makeReport(
  circumstances: Circumstances,
  results: readonly ScenarioResult[],
  backend: { readonly name: string; readonly version: string } | undefined,
): ConformanceReport {
  const groups = [...new Set(results.map(groupOf))];
  return {
    schema: 1,
    suite: { spec: specVersion, unitMs: Math.round(circumstances.unitMs) },
    subject: { name: circumstances.harness.name },
    ...(backend && { backend }),
    environment: { node: process.versions.node, platform: `${process.platform} ${process.arch}` },
    capabilities: circumstances.capabilities,
    profiles: Object.fromEntries(
      tiers.map((tier) => [tier, profileOf(results.filter((result) => result.tier === tier))]),
    ) as ConformanceReport['profiles'],
    groups: Object.fromEntries(
      groups.map((group) => [group, tally(results.filter((result) => groupOf(result) === group))]),
    ),
    scenarios: results.map(reported),
  };
}

/**
 * The part of a report that only changes when behaviour does: no times, no machine, no versions of the environment.
 * This is what is committed, so that a diff means something.
 */
export function committedReport(report: ConformanceReport): ConformanceReport {
  const { backend: _backend, environment: _environment, ...rest } = report;
  return {
    ...rest,
    suite: { spec: report.suite.spec },
    scenarios: report.scenarios.map(({ ms: _ms, assertions: _assertions, reason, ...scenario }) => ({
      ...scenario,
      // Why something failed holds ids and times.
      ...(reason !== undefined && scenario.status !== 'fail' && scenario.status !== 'error' && { reason }),
    })),
  };
}

function tally(results: readonly ScenarioResult[]): Tally {
  const count = (status: Status): number => results.filter((result) => result.status === status).length;
  return {
    pass: count('pass'),
    fail: count('fail'),
    unsupported: count('unsupported'),
    notRun: count('not-run'),
    error: count('error'),
  };
}

function profileOf(results: readonly ScenarioResult[]): Tally & { result: 'success' | 'partial' | 'failure' } {
  const counts = tally(results);
  const broken = results.some(({ status, provisional }) => (status === 'fail' || status === 'error') && !provisional);
  return { ...counts, result: broken ? 'failure' : counts.notRun > 0 ? 'partial' : 'success' };
}

function reported(result: ScenarioResult): ReportedScenario {
  const { id, rule, status, provisional, reason, clock, assertions, cells, ms } = result;
  const ran = status !== 'unsupported' && status !== 'not-run';
  return {
    id,
    rule,
    status,
    ...(provisional && { provisional }),
    ...(reason !== undefined && { reason }),
    ...(clock !== undefined && { clock }),
    ...(ran && { assertions, ms: Math.round(ms) }),
    ...(cells.length > 0 && {
      cells: {
        pass: cells.filter((cell) => cell.status === 'pass').length,
        fail: cells.filter((cell) => cell.status === 'fail').length,
        notObservable: cells.filter((cell) => cell.status === 'not-observable').map((cell) => cell.label),
      },
    }),
  };
}
