import type { Capabilities } from '@millrace/core';
import type { Circumstances } from '../context/scenario-context.ts';
import type { TimeKind } from '../context/tempo.ts';
import type { Guarantee } from '../history/guarantee.ts';
import type { ScenarioResult, Status } from '../run-scenario.ts';
import { groupOf, type Tier } from '../scenario.ts';
import { rules } from '../spec/rules.ts';
import { guaranteeOf, measuredOf } from './evidence.ts';

/** Version of SPEC.md that the scenarios verify. */
export const specVersion = '0.1';

/** How many scenarios ended how. */
export interface Tally {
  readonly pass: number;
  readonly fail: number;
  readonly unsupported: number;
  readonly notRun: number;
  readonly waived: number;
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
  /** By tier. `success`: nothing failed or was waived, and nothing that was claimed was left out, and something passed. */
  readonly profiles: Readonly<Record<Tier, Tally & { readonly result: 'success' | 'partial' | 'failure' }>>;
  /** By group of scenarios, in their order. */
  readonly groups: Readonly<Record<string, Tally>>;
  readonly scenarios: readonly ReportedScenario[];
  /** Rules of the contract that no scenario checks yet. */
  readonly unverified: readonly string[];
  /** What the recorded histories leave standing. Absent when none was recorded. */
  readonly guarantee?: ReportedGuarantee;
  /** Milliseconds, for comparing; no verdict rests on them. */
  readonly measured?: Readonly<Record<string, Measured>>;
  /** How to get this report. */
  readonly reproduce?: string;
}

/** The strongest guarantee that no recorded history refuted. */
export interface ReportedGuarantee {
  readonly strongest: Guarantee;
  /** Stronger ones, the invariants that refute them, and one history that shows it. */
  readonly refuted: readonly {
    readonly guarantee: Guarantee;
    readonly by: readonly string[];
    readonly witness?: string;
  }[];
  /** Histories judged, and their lines. */
  readonly histories?: number;
  readonly events?: number;
}

/** What a measure came to. */
export interface Measured {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

const tiers: readonly Tier[] = ['core', 'extended', 'fault'];

export function makeReport(
  circumstances: Circumstances,
  results: readonly ScenarioResult[],
  backend: { readonly name: string; readonly version: string } | undefined,
  reproduce?: string,
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
    unverified: unverifiedRules(),
    ...guaranteeOf(results),
    measured: measuredOf(circumstances, results),
    ...(reproduce !== undefined && { reproduce }),
  };
}

function unverifiedRules(): string[] {
  return rules.filter((rule) => rule.scenarios.length === 0).map(({ id }) => id);
}

/**
 * The part of a report that only changes when behaviour does: no times, no machine, no versions of the environment.
 * This is what is committed, so that a diff means something.
 */
export function committedReport(report: ConformanceReport): ConformanceReport {
  const {
    backend: _,
    environment: _environment,
    measured: _measured,
    reproduce: _reproduce,
    guarantee,
    ...rest
  } = report;
  return {
    ...rest,
    ...(guarantee && { guarantee: { strongest: guarantee.strongest, refuted: guarantee.refuted } }),
    suite: { spec: report.suite.spec },
    scenarios: report.scenarios.map(({ ms: _ms, assertions: _assertions, reason, ...scenario }) => ({
      ...scenario,
      // Why something failed holds ids and times.
      ...(reason !== undefined && !['fail', 'error', 'waived'].includes(scenario.status) && { reason }),
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
    waived: count('waived'),
    error: count('error'),
  };
}

function profileOf(results: readonly ScenarioResult[]): Tally & { result: 'success' | 'partial' | 'failure' } {
  const counts = tally(results);
  const broken = results.some(({ status, provisional }) => (status === 'fail' || status === 'error') && !provisional);
  return {
    ...counts,
    result: broken ? 'failure' : counts.notRun + counts.waived > 0 || counts.pass === 0 ? 'partial' : 'success',
  };
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
