import {
  type Broker,
  type BrokerEnqueueOptions,
  type Capabilities,
  type EnqueueOutcome,
  type Guard,
  isMillraceError,
  type MillraceError,
  type NewTask,
  UnsupportedError,
} from '@millrace/core';
import { findTaskError } from '@millrace/core/adapter';
import { type Brought, bringing, findReservedHeader, isWaiting } from './thin-message.ts';
import type { ThinPublisher } from './thin-publisher.ts';

/** What enqueueing with a guard needs. */
export interface GuardedEnqueue<Tx> {
  readonly guard: Guard<Tx>;
  /** RabbitMQ alone, for tasks the guard does not hold. */
  readonly messages: Broker;
  readonly publisher: ThinPublisher;
  readonly capabilities: Capabilities;
}

/** A task and its place in the call. */
interface Placed {
  readonly index: number;
  readonly task: NewTask;
}

/**
 * First the record, then the message that brings it: a record without a message is brought by the sweep, a message
 * without a record would be a task nobody can look up, or with a unique key that is taken.
 */
export async function enqueueGuarded<Tx>(
  context: GuardedEnqueue<Tx>,
  tasks: readonly NewTask[],
  options: BrokerEnqueueOptions<Tx>,
): Promise<EnqueueOutcome[]> {
  const { guard, capabilities } = context;
  const { transaction } = options;
  if (transaction !== undefined && !capabilities.transactions) {
    throw new UnsupportedError('transactions', `a guard of kind ${guard.kind} cannot join a transaction of yours`, {
      op: 'enqueue',
      adapter: 'amqp',
    });
  }
  const outcomes: EnqueueOutcome[] = tasks.map(() => ({ status: 'accepted' }));
  const held: Placed[] = [];
  const free: Placed[] = [];
  tasks.forEach((task, index) => {
    const error = findTaskError(task, capabilities) ?? findReservedHeader(task.headers);
    if (error !== undefined) outcomes[index] = { status: 'rejected', error };
    else if (transaction !== undefined || isHeld(guard, task)) held.push({ index, task });
    else free.push({ index, task });
  });
  if (held.length > 0) {
    const stored = await guard.broker.enqueue(
      held.map(({ task }) => task),
      options,
    );
    stored.forEach((outcome, position) => {
      outcomes[(held[position] as Placed).index] = outcome;
    });
  }
  // What was stored must be told, even when the other half fails.
  const [, refused] = await Promise.all([
    sendWhole(context, free, outcomes, held.length > 0, options.signal),
    bring(context, held, outcomes, transaction !== undefined),
  ]);
  if (refused !== undefined && outcomes.every((outcome) => outcome.status === 'rejected' && outcome.error === refused))
    throw refused;
  return outcomes;
}

function isHeld<Tx>(guard: Guard<Tx>, task: NewTask): boolean {
  return guard.mode === 'always' || task.key !== undefined || guard.holds(task.name);
}

/** Publishes the tasks that are messages themselves. */
async function sendWhole<Tx>(
  { messages }: GuardedEnqueue<Tx>,
  free: readonly Placed[],
  outcomes: EnqueueOutcome[],
  isPart: boolean,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (free.length === 0) return;
  let sent: EnqueueOutcome[];
  try {
    sent = await messages.enqueue(
      free.map(({ task }) => task),
      { ...(signal !== undefined && { signal }) },
    );
  } catch (error) {
    if (!isPart || !isMillraceError(error)) throw error;
    sent = free.map(() => ({ status: 'rejected', error }));
  }
  sent.forEach((outcome, position) => {
    outcomes[(free[position] as Placed).index] = outcome;
  });
}

/** Publishes the messages that bring what was stored. Returns the error that refused some of them for good. */
async function bring<Tx>(
  context: GuardedEnqueue<Tx>,
  held: readonly Placed[],
  outcomes: EnqueueOutcome[],
  uncommitted: boolean,
): Promise<MillraceError | undefined> {
  const brought = await describe(context.guard, held, outcomes, uncommitted);
  const stored = held.filter((_each, position) => brought[position] !== undefined);
  const problems = await context.publisher.publish(brought.filter((task) => task !== undefined));
  // A record that was there before stays, and so does one in a transaction: the sweep brings them.
  const refused = stored.filter(
    ({ index }, position) => problems[position] !== undefined && !uncommitted && outcomes[index]?.status === 'accepted',
  );
  if (refused.length === 0) return undefined;
  const removed = await takeBack(
    context.guard,
    refused.map(({ task }) => task.id),
  );
  let first: MillraceError | undefined;
  refused.forEach((placed, position) => {
    if (!removed[position]) return;
    const error = problems[stored.indexOf(placed)] as MillraceError;
    outcomes[placed.index] = { status: 'rejected', error };
    first ??= error;
  });
  return first;
}

/** What messages have to say of each task; `undefined` for those that need none. */
async function describe<Tx>(
  guard: Guard<Tx>,
  held: readonly Placed[],
  outcomes: readonly EnqueueOutcome[],
  uncommitted: boolean,
): Promise<(Brought | undefined)[]> {
  const again = held.filter(({ task, index }) => isRepeated(task, outcomes[index]));
  // Its record may be of another queue by now, or done.
  const records =
    again.length === 0 ? [] : await guard.broker.tasks.get(again.map(({ task }) => task.id)).catch(() => []);
  return held.map((placed) => {
    const { task, index } = placed;
    const outcome = outcomes[index];
    if (outcome?.status === 'accepted') return { ...briefly(task, uncommitted), id: task.id };
    if (outcome?.status === 'replaced') return { ...briefly(task, uncommitted), id: outcome.existingId };
    const record = records[again.indexOf(placed)];
    return isWaiting(record) ? bringing(record) : undefined;
  });
}

/** The same id once more: the call before may have died between the record and the message. */
function isRepeated(task: NewTask, outcome: EnqueueOutcome | undefined): boolean {
  return outcome?.status === 'duplicate' && outcome.existingId === task.id;
}

function briefly({ name, queue, priority, delayMs, runAt }: NewTask, uncommitted: boolean): Omit<Brought, 'id'> {
  // Of an instant only the store knows how far away it is: whoever comes first is told.
  return { name, queue, priority, delayMs: runAt === undefined ? delayMs : 0, uncommitted };
}

/** Removes records again. Those that cannot be removed stay, and are brought by the sweep. */
async function takeBack<Tx>(guard: Guard<Tx>, ids: readonly string[]): Promise<boolean[]> {
  try {
    return (await guard.broker.tasks.remove(ids)).map((outcome) => outcome === 'applied');
  } catch {
    return ids.map(() => false);
  }
}
