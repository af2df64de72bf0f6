import type { HistoryEvent } from './event.ts';
import { invariants } from './invariant.ts';
import type { Operation } from './operation.ts';
import { timeOf, type Witness, type WitnessStep } from './witness.ts';

/** One line of a witness in words. */
export interface DescribedStep {
  /** Seconds since the start of the history. */
  readonly at: number;
  /** When it began, where it took time. */
  readonly from: number;
  readonly role: string;
  readonly what: string;
  readonly outcome: string;
  readonly wrong: string | undefined;
}

/** A witness in words. */
export interface DescribedWitness {
  readonly title: string;
  readonly rule: string;
  readonly steps: readonly DescribedStep[];
}

/** Puts a witness into words. `startedAt` is where its clock begins. */
export function describeWitness(witness: Witness, startedAt: number, seed?: number | string): DescribedWitness {
  const invariant = invariants.find(({ id }) => id === witness.invariant);
  const title = [
    `${witness.invariant} ${invariant?.name}`,
    ...(witness.task === undefined ? [] : [`task ${witness.task}`]),
    ...(seed === undefined ? [] : [`seed ${seed}`]),
  ].join('  ');
  const steps = witness.steps.map((step) => describeStep(step, witness.task, startedAt));
  return { title, rule: invariant?.rule ?? '', steps };
}

/** One line in words. The task it is about need not be named again. */
export function describeStep(step: WitnessStep, task: string | undefined, startedAt: number): DescribedStep {
  const { what, wrong } = step;
  const at = (timeOf(step) - startedAt) / 1_000_000;
  if ('text' in what) return { at, from: at, role: '—', what: what.text, outcome: '', wrong };
  const other = what.task !== undefined && what.task !== task ? ` ${what.task}` : '';
  if ('invoke' in what) {
    const from = (what.invoke - startedAt) / 1_000_000;
    return { at, from, role: what.role, what: `${wordsOf(what)}${other}`, outcome: outcomeOf(what), wrong };
  }
  return { at, from: at, role: what.role, what: `${markOf(what)}${other}`, outcome: what.outcome ?? '', wrong };
}

function wordsOf(operation: Operation): string {
  const { op, args, fence, key, queue } = operation;
  const details = [
    ...(op !== 'claim' && fence > 0 ? [`fence ${fence}`] : []),
    ...(key === undefined || op === 'claim' ? [] : [`key ${key}`]),
    ...(args.delayMs === undefined ? [] : [`in ${args.delayMs} ms`]),
    ...(args.expiresInMs === undefined ? [] : [`expires in ${args.expiresInMs} ms`]),
    ...(op.startsWith('queue') && queue !== undefined ? [queue] : []),
    ...(op === 'enqueue' && args.priority !== undefined && args.priority !== 4 ? [`priority ${args.priority}`] : []),
    ...(args.tx === undefined ? [] : [args.tx]),
  ];
  return details.length === 0 ? op : `${op}(${details.join(', ')})`;
}

function outcomeOf(operation: Operation): string {
  const { op, raw, fence, attempt, answer } = operation;
  if (raw === undefined) return 'never answered';
  if (op === 'claim' && raw === 'delivered') return `fence ${fence}, attempt ${attempt}`;
  const { state, existingId, kind } = answer?.args ?? {};
  if (state !== undefined) return `${state}${answer?.fence === undefined ? '' : `, fence ${answer.fence}`}`;
  if (existingId !== undefined) return `${raw} of ${existingId}`;
  return kind === undefined ? raw : `${raw} (${kind})`;
}

function markOf(event: HistoryEvent): string {
  const { op, args, fence } = event;
  if (op === 'final') return `at the end: ${args?.state}${args?.kind === undefined ? '' : ` (${args.kind})`}`;
  if (op === 'fault') return `${args?.fault} ${args?.faultPhase}${args?.detail === undefined ? '' : ` ${args.detail}`}`;
  if (op === 'taskEvent') return `event: ${args?.state}`;
  if (op === 'signal') return `told to ${args?.request} (fence ${fence})`;
  if (op === 'counts' || op === 'resources') return `${op} ${JSON.stringify(args?.counts ?? {})}`;
  return fence === undefined ? op : `${op}(fence ${fence})`;
}
