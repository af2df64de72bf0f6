import type { Delivery } from '@millrace/core';
import { each, settleOne } from './fence.ts';
import { brokenBroker, brokenEnqueue, type Mutant } from './mutant.ts';

const withInput = (
  name: string,
  defect: string,
  caughtBy: string,
  change: (input: string) => string | undefined,
): Mutant =>
  brokenEnqueue(name, defect, caughtBy, ({ input, ...task }) => {
    const changed = input === undefined ? undefined : change(input);
    return changed === undefined ? task : { ...task, input: changed };
  });

/** Defects of storing what was given. */
export const payloadMutants: readonly Mutant[] = [
  withInput('null-is-absent', 'a stored null comes back as nothing', 'PAY-02', (input) =>
    input === 'null' ? undefined : input,
  ),
  withInput('nul-stripped', 'U+0000 is removed', 'PAY-03', (input) => input.replaceAll('\\u0000', '')),
  withInput(
    'payload-rewritten',
    'payloads are parsed and written again: digits, order and escapes change',
    'PAY-01',
    (input) => {
      try {
        return JSON.stringify(JSON.parse(input));
      } catch {
        return input;
      }
    },
  ),
  withInput('prototype-key-dropped', 'a key named __proto__ is lost', 'PAY-04', (input) =>
    input.replace(/"__proto__":\{[^}]*\},?/, ''),
  ),
  withInput('characters-lost', 'characters outside of the basic plane become question marks', 'PAY-01', (input) =>
    input.replace(/[\u{10000}-\u{10ffff}]/gu, '?'),
  ),
  withInput('bytes-cut', 'payloads are cut at 64 KB', 'PAY-07', (input) => input.slice(0, 65_536)),
  brokenEnqueue('header-names-folded', 'header names lose their case', 'PAY-08', (task) => ({
    ...task,
    headers: Object.fromEntries(Object.entries(task.headers).map(([name, value]) => [name.toLowerCase(), value])),
  })),
  brokenBroker('headers-aliased', 'consumers share one object', 'PAY-11', (scratch) => ({
    session: (inner) => ({
      async claim(request) {
        const shared = scratch.remember('headers', () => new Map<string, Delivery['headers']>());
        return (await inner.claim(request)).map((delivery) => {
          const { taskId } = delivery.lease;
          shared.set(taskId, shared.get(taskId) ?? { ...delivery.headers });
          return { ...delivery, headers: shared.get(taskId) ?? {} };
        });
      },
    }),
  })),
  brokenBroker('queue-names-folded', 'queue names lose their case', 'PAY-14', () => ({
    broker: (inner) => ({
      enqueue: (tasks, options) =>
        inner.enqueue(
          tasks.map((task) => ({ ...task, queue: task.queue.toLowerCase() })),
          options,
        ),
    }),
    session: (inner) => ({
      claim: (request) => inner.claim({ ...request, queues: request.queues.map((queue) => queue.toLowerCase()) }),
    }),
  })),
  brokenBroker('checkpoint-dropped', 'checkpoints are answered applied and forgotten', 'STM-07', () => ({
    session: (inner) => ({
      report: (reports) => inner.report(reports.map(({ checkpoint: _checkpoint, ...rest }) => rest)),
    }),
  })),
  brokenBroker('large-output-unanswered', 'a settle with an output above 100 KB is never answered', 'PAY-15', () => ({
    session: (inner) => ({
      settle: (operations) =>
        each(operations, async (operation) =>
          operation.type === 'complete' && (operation.output?.length ?? 0) > 100_000
            ? 'unknown'
            : settleOne(inner, operation),
        ),
    }),
  })),
];
