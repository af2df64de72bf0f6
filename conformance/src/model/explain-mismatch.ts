import { describeOperation, describeOutcome } from './describe-operation.ts';
import { recordProblem } from './record-match.ts';
import type { ProgramRun } from './run-program.ts';

/** A run that parted from the model, step by step, and why its last step is wrong. */
export function explainMismatch({ trace, mismatch }: ProgramRun): string {
  if (mismatch === undefined) return 'the broker did nothing the rules do not allow';
  const width = String(trace.length).length;
  const lines = trace.map(({ operation, outcome }, index) => {
    const step = String(index + 1).padStart(width);
    return `  ${step}. ${describeOperation(operation)}  → ${describeOutcome(outcome)}`;
  });
  const expected = [...new Set(mismatch.expected.map(describeOutcome))];
  return [
    ...lines,
    `✗ ${mismatch.why}`,
    ...(expected.length === 0 ? [] : [`  legal: ${expected.slice(0, 5).join('\n     or: ')}`]),
    ...recordProblems({ trace, mismatch }),
  ].join('\n');
}

/** For reads, the fields that are wrong. */
function recordProblems({ trace, mismatch }: ProgramRun): string[] {
  const { operation, outcome } = trace.at(-1) ?? {};
  if (operation?.type !== 'get' || outcome?.type !== 'get' || mismatch === undefined) return [];
  const { state, occasion } = mismatch;
  return operation.ids.flatMap((id, index) => {
    const problem = recordProblem(state.tasks.get(id), outcome.records[index], occasion);
    return problem === undefined ? [] : [`  ${id}: ${problem.text}`];
  });
}
