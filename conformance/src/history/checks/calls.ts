import type { CheckContext } from '../check-context.ts';
import type { RecordedCall } from '../event.ts';
import type { Operation } from '../operation.ts';

/** Credentials and schemas may change under a client: `CONFIGURATION` is not only for opening. */
const general: readonly string[] = [
  'UNAVAILABLE',
  'INDETERMINATE',
  'CLOSED',
  'VALIDATION',
  'UNSUPPORTED',
  'ABORTED',
  'CONFIGURATION',
];

/** Codes beside the general ones that the contract documents for a call. */
const special: Readonly<Partial<Record<RecordedCall, readonly string[]>>> = {
  enqueue: ['BACKPRESSURE'],
  claim: ['LEASE_LOST'],
};

/** Calls that answer, whatever has become of the lease, the connection and the client (R-MOD-3). */
const answering: ReadonlySet<RecordedCall> = new Set([
  'complete',
  'retry',
  'fail',
  'release',
  'snooze',
  'settlePause',
  'settleCancel',
]);

/** H30: calls fail with a code the contract documents, and end by their deadline. */
export function checkCalls(context: CheckContext): void {
  const { deadlineMs } = context.options;
  for (const call of context.timeline.calls) {
    context.saw('H30');
    if (call.raw?.startsWith('error:') === true) checkCode(call, call.raw.slice('error:'.length), context);
    if (deadlineMs !== undefined) checkDeadline(call, deadlineMs, context);
  }
}

function checkCode(call: Operation, code: string, context: CheckContext): void {
  const documented = answering.has(call.op) ? ['VALIDATION'] : [...general, ...(special[call.op] ?? [])];
  if (documented.includes(code)) return;
  context.fail('H30', undefined, [{ what: call, wrong: `${code} is not an error that ${call.op} documents` }]);
}

function checkDeadline(call: Operation, deadlineMs: number, context: CheckContext): void {
  const allowed = (deadlineMs + (call.args.waitMs ?? 0)) * 1_000;
  const returned = call.answer !== undefined;
  // What a killed process never heard is no hang.
  const until = call.answer?.t ?? context.timeline.lastSeen.get(call.pid) ?? call.invoke;
  if (until - call.invoke <= allowed) return;
  const ms = Math.round((until - call.invoke) / 1_000);
  context.fail('H30', undefined, [
    {
      what: call,
      wrong: `${returned ? `returned after ${ms}` : `had not returned after ${ms}`} ms; ${allowed / 1_000} are allowed`,
    },
  ]);
}
