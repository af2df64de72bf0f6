import type {
  ClaimRequest,
  ClaimVerdict,
  Delivery,
  Lease,
  Session,
  SettleOp,
  SettleOutcome,
  TaskReport,
} from '@millrace/core';
import { contentDigest, digest } from './digest.ts';
import { errorOutcome } from './error-outcome.ts';
import type { EventArgs, EventFields, RecordedCall } from './event.ts';
import type { RecordedRole } from './recorded-role.ts';

/** The holder's own words for how a run ends, in the words of the state machine. */
const callOf: Readonly<Record<SettleOp['type'], RecordedCall>> = {
  complete: 'complete',
  retry: 'retry',
  fail: 'fail',
  release: 'release',
  snooze: 'snooze',
  pause: 'settlePause',
  cancel: 'settleCancel',
};

/** A session that writes down what it is asked and what it answers. */
export class RecordedSession implements Session {
  readonly id: string;
  readonly lost: AbortSignal;
  readonly claimTasks?: NonNullable<Session['claimTasks']>;
  readonly #session: Session;
  readonly #role: RecordedRole;

  constructor(session: Session, role: RecordedRole) {
    this.#session = session;
    this.#role = role;
    this.id = session.id;
    this.lost = session.lost;
    if (session.claimTasks !== undefined) this.claimTasks = (ids) => this.#claimTasks(ids);
    const noteLoss = (): void => role.note('lost', { args: { session: session.id } });
    if (session.lost.aborted) noteLoss();
    else session.lost.addEventListener('abort', noteLoss, { once: true });
  }

  async claim(request: ClaimRequest): Promise<Delivery[]> {
    const { queues, names, limit, waitMs } = request;
    const args = { session: this.id, queues, names, limit, waitMs };
    return this.#claim(
      args,
      () => this.#session.claim(request),
      (deliveries) => deliveries,
    );
  }

  /** A claim like the other one; what it says of tasks it does not give is no part of their history. */
  #claimTasks(ids: readonly string[]): Promise<ClaimVerdict[]> {
    return this.#claim(
      { session: this.id, ids },
      () => this.#session.claimTasks?.(ids) ?? Promise.resolve([]),
      (verdicts) => verdicts.flatMap((verdict) => (verdict.status === 'claimed' ? [verdict.delivery] : [])),
      { byId: true },
    );
  }

  async #claim<T>(
    asked: EventArgs,
    ask: () => Promise<T>,
    deliveriesOf: (answer: T) => readonly Delivery[],
    more: EventArgs = {},
  ): Promise<T> {
    const call = this.#role.begin('claim', { args: asked });
    let answer: T;
    try {
      answer = await ask();
    } catch (error) {
      call.answer(errorOutcome(error), { args: { session: this.id } });
      throw error;
    }
    const deliveries = deliveriesOf(answer);
    if (deliveries.length === 0) call.answer('empty', { args: { session: this.id } });
    let left = deliveries.length;
    for (const delivery of deliveries) {
      left -= 1;
      call.answer('delivered', deliveryFields(delivery, left === 0 ? more : { ...more, left }));
    }
    return answer;
  }

  report(reports: readonly TaskReport[]): Promise<SettleOutcome[]> {
    const calls = reports.map((report) =>
      this.#role.begin('report', leaseFields(report.lease, report.begun === true ? { begun: true } : {})),
    );
    return this.#role.each(
      calls,
      () => this.#session.report(reports),
      (outcome) => ({ outcome }),
    );
  }

  settle(operations: readonly SettleOp[]): Promise<SettleOutcome[]> {
    const calls = operations.map((operation) => {
      const fields = leaseFields(operation.lease, {
        ...('delayMs' in operation && { delayMs: operation.delayMs }),
        ...('failure' in operation && { kind: operation.failure.kind }),
      });
      const output = operation.type === 'complete' ? { hash: digest(operation.output) } : {};
      return this.#role.begin(callOf[operation.type], { ...fields, ...output });
    });
    return this.#role.each(
      calls,
      () => this.#session.settle(operations),
      (outcome) => ({ outcome }),
    );
  }

  end(): Promise<void> {
    return this.#role.whole('endSession', { args: { session: this.id } }, () => this.#session.end());
  }
}

function deliveryFields(delivery: Delivery, more: EventArgs): EventFields {
  const { lease, name, queue, maxAttempts, priority, group, key } = delivery;
  return {
    task: lease.taskId,
    queue,
    fence: lease.fence,
    attempt: lease.attempt,
    hash: contentDigest(delivery),
    ...(key !== undefined && { key }),
    args: {
      session: lease.sessionId,
      name,
      priority,
      ...(Number.isFinite(maxAttempts) && { maxAttempts }),
      ...(group !== undefined && { group }),
      ...more,
    },
  };
}

function leaseFields(lease: Lease, args: EventArgs): EventFields {
  const { taskId: task, fence, attempt, sessionId: session } = lease;
  return { task, fence, attempt, args: { session, ...args } };
}
