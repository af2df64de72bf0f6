import {
  type Lease,
  type SettleOp,
  type SettleOutcome,
  type TaskError,
  type TaskFailure,
  type TaskReport,
  UnsupportedError,
} from '@millrace/core';
import { checkInteger } from '@millrace/core/adapter';
import type { Carrier, Parcel } from './carrier.ts';
import { released } from './delivery.ts';
import { acknowledgeAll, type Held } from './held.ts';
import type { Intake } from './intake.ts';
import type { Memory } from './memory.ts';
import { type TaskMessage, withError } from './message.ts';

/** What settling needs of a session. */
export interface SettleContext {
  readonly intake: Intake;
  readonly carrier: Carrier;
  readonly memory: Memory;
  readonly now: () => number;
  readonly longestDelayMs: number;
}

/**
 * Ends runs. What goes on, goes on as a new message, and the old one is acknowledged when the server has the new one:
 * nothing is lost in between, but both may be there when the connection breaks at that moment.
 */
export async function settleTasks(context: SettleContext, operations: readonly SettleOp[]): Promise<SettleOutcome[]> {
  const { intake, carrier } = context;
  for (const operation of operations) checkOperation(operation, context.longestDelayMs);
  const outcomes: SettleOutcome[] = operations.map(() => 'stale');
  const taken: { readonly index: number; readonly held: Held; readonly parcel: Parcel | undefined }[] = [];
  operations.forEach((operation, index) => {
    const held = intake.find(operation.lease);
    if (held === undefined) return;
    if (operation.type === 'pause') throw unsupported('tasks.pause', 'a task cannot be paused');
    intake.settling(held);
    taken.push({ index, held, parcel: successorOf(held, operation, context.now()) });
  });
  await Promise.all(taken.map(({ held }) => held.renewing));
  const moving = taken.filter(({ parcel }) => parcel !== undefined);
  const problems = await carrier.send(
    'session.settle',
    moving.map(({ parcel }) => parcel as Parcel),
  );
  const unsent = new Set(moving.filter((_each, position) => problems[position] !== undefined));
  const ready = taken.filter((each) => !unsent.has(each));
  // From here on it has happened, whether the acknowledgements are answered or not.
  for (const { held } of ready) context.memory.end(held);
  const acknowledged = await acknowledgeAll(ready.map(({ held }) => held));
  ready.forEach(({ index, held }, position) => {
    outcomes[index] = acknowledged[position] === true ? 'applied' : 'unknown';
    intake.drop(held);
  });
  for (const { index, held } of unsent) {
    // Still ours: the same settle may be tried again.
    intake.resume(held);
    outcomes[index] = 'unknown';
  }
  return outcomes;
}

/** There is nowhere to keep a report. A stale one is answered so all the same, as everywhere. */
export function reportTasks(intake: Intake, reports: readonly TaskReport[]): SettleOutcome[] {
  return reports.map(({ lease, ...fields }) => {
    if (intake.find(lease) === undefined) return 'stale';
    const [field] = Object.keys(fields);
    if (field !== undefined) throw unsupported(`reports.${field}`, `a running task's ${field} cannot be kept`);
    return 'applied';
  });
}

/** What a message broker alone cannot keep. */
export function unsupported(capability: string, problem: string): UnsupportedError {
  return new UnsupportedError(
    capability,
    `${problem}: RabbitMQ alone keeps messages, not records; pass guard: postgresGuard({ … }) to amqpBroker, or use a broker with a store`,
    { adapter: 'amqp' },
  );
}

function checkOperation(operation: SettleOp, longestDelayMs: number): void {
  if (operation.type === 'retry' || operation.type === 'snooze') {
    checkInteger(operation.delayMs, 'delayMs', 0, longestDelayMs);
  }
}

/** The message that follows a run; none when the task has ended well. */
function successorOf(held: Held, operation: SettleOp, now: number): Parcel | undefined {
  const { queue } = held.line;
  const { lease } = held;
  switch (operation.type) {
    case 'retry':
      return {
        queue,
        delayMs: operation.delayMs,
        message: {
          ...released(held),
          attempt: lease.attempt,
          runAt: now + operation.delayMs,
          errors: withError(held.message.errors, errorOf(lease, operation.failure, now)),
        },
      };
    case 'fail':
      return { queue, delayMs: 'dead', message: deadOf(held, operation.failure, now) };
    case 'release':
      return { queue, delayMs: 0, message: released(held) };
    case 'snooze':
      return {
        queue,
        delayMs: operation.delayMs,
        message: { ...released(held), runAt: now + operation.delayMs },
      };
    default:
      return undefined;
  }
}

function deadOf(held: Held, failure: TaskFailure, now: number): TaskMessage {
  const { message, lease } = held;
  return {
    ...message,
    attempt: lease.attempt,
    fence: lease.fence,
    errors: withError(message.errors, errorOf(lease, failure, now)),
    failure: failure.kind,
    diedAt: now,
  };
}

function errorOf({ attempt }: Lease, failure: TaskFailure, at: number): TaskError {
  return { ...failure, attempt, at };
}
