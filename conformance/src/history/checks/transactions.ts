import type { CheckContext } from '../check-context.ts';
import { mayHaveTaken } from '../operation.ts';
import { likelyEnqueue } from '../task-facts.ts';
import type { TaskHistory } from '../task-history.ts';

/** H22 and H29: what belongs to a transaction happens with it, wholly, once. */
export function checkTransactions(task: TaskHistory, context: CheckContext): void {
  checkCommit(task, context);
  checkEffects(task, context);
}

function checkCommit(task: TaskHistory, context: CheckContext): void {
  const enqueue = likelyEnqueue(task);
  const { tx } = enqueue?.args ?? {};
  if (enqueue === undefined || tx === undefined || task.enqueues.length > 1) return;
  const end = context.timeline.transactions.get(tx);
  if (end === undefined) {
    context.undecided('H22', 'the end of a transaction was not recorded');
    return;
  }
  context.saw('H22');
  const [claim] = task.claims;
  if (end.op === 'rollback') {
    const there = claim ?? task.reads.find((read) => read.answer?.args?.state !== 'gone' && mayHaveTaken(read));
    if (there !== undefined) {
      context.fail('H22', task, [{ what: enqueue }, { what: end }, { what: there, wrong: 'it was rolled back' }]);
    }
  } else if (claim !== undefined && claim.return < end.t) {
    context.fail('H22', task, [{ what: enqueue }, { what: claim, wrong: 'before the commit' }, { what: end }]);
  }
}

function checkEffects(task: TaskHistory, context: CheckContext): void {
  const effects = task.marks.filter((mark) => mark.op === 'effect');
  const completed = task.settles.find((settle) => settle.op === 'complete' && settle.outcome === 'applied');
  if (effects.length === 0 && !context.timeline.hasEffects) return;
  if (effects.length === 0 && completed === undefined) return;
  context.saw('H29');
  const [first, second] = effects;
  if (first !== undefined && second !== undefined) {
    context.fail('H29', task, [
      { what: first },
      { what: second, wrong: `its effect happened ${effects.length} times` },
    ]);
  } else if (completed !== undefined && first === undefined) {
    context.fail('H29', task, [{ what: completed, wrong: 'it was completed, and its effect did not happen' }]);
  }
}
