import type { Circumstances } from '../context/scenario-context.ts';
import type { HistoryReport } from '../history/checker.ts';
import { type Guarantee, guarantees } from '../history/guarantee.ts';
import { renderWitness } from '../history/render-text.ts';
import type { ScenarioResult } from '../run-scenario.ts';
import type { Measured, ReportedGuarantee } from './report.ts';

/** The strongest guarantee that all histories leave standing, and for each one refuted the history that shows it. */
export function guaranteeOf(results: readonly ScenarioResult[]): { readonly guarantee?: ReportedGuarantee } {
  const histories = results.flatMap((result) => result.histories ?? []);
  if (histories.length === 0) return {};
  const rank = (guarantee: Guarantee): number => guarantees.indexOf(guarantee);
  const [weakest] = histories.map((history) => history.guarantee.strongest).sort((a, b) => rank(a) - rank(b));
  const refuted = guarantees.flatMap((guarantee) => {
    const refuting = histories.flatMap((history) =>
      history.guarantee.refuted.filter((each) => each.guarantee === guarantee).map(({ by }) => ({ history, by })),
    );
    const [first] = refuting;
    if (first === undefined) return [];
    const witness = witnessOf(first.history, first.by);
    const by = [...new Set(refuting.flatMap((each) => each.by))].sort();
    return [{ guarantee, by, ...(witness !== undefined && { witness }) }];
  });
  const events = histories.reduce((sum, history) => sum + history.counts.events, 0);
  return { guarantee: { strongest: weakest ?? 'none', refuted, histories: histories.length, events } };
}

function witnessOf(history: HistoryReport, by: readonly string[]): string | undefined {
  const verdict = history.verdicts.find(({ id, witness }) => by.includes(id) && witness !== undefined);
  return verdict?.witness && renderWitness(verdict.witness, history.startedAt, history.seed);
}

/** Percentiles of what scenarios measured in real time. */
export function measuredOf(
  circumstances: Circumstances,
  results: readonly ScenarioResult[],
): Readonly<Record<string, Measured>> {
  const samples = new Map<string, number[]>();
  for (const { clock, measured } of results) {
    if (clock === 'virtual') continue;
    for (const [what, values] of measured ?? []) samples.set(what, [...(samples.get(what) ?? []), ...values]);
  }
  const { enqueueToClaimMs } = circumstances;
  const survey = enqueueToClaimMs && { count: 200, p50: tidy(enqueueToClaimMs.p50), p99: tidy(enqueueToClaimMs.p99) };
  return {
    ...(survey && { enqueueToClaimMs: { ...survey, max: survey.p99 } }),
    ...Object.fromEntries([...samples].map(([what, values]) => [what, summarize(values)])),
  };
}

function summarize(values: readonly number[]): Measured {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number): number => tidy(sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0);
  return { count: sorted.length, p50: at(0.5), p99: at(0.99), max: at(1) };
}

function tidy(ms: number): number {
  return Math.round(ms * 100) / 100;
}
