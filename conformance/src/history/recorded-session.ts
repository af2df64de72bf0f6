import type { ClaimRequest, Delivery, Lease, Session, SettleOp, SettleOutcome, TaskReport } from '@millrace/core';
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
  readonly #session: Session;
  readonly #role: RecordedRole;

  constructor(session: Session, role: RecordedRole) {
    this.#session = session;
    this.#role = role;
    this.id = session.id;
    this.lost = session.lost;
    const noteLoss = (): void => role.note('lost', { args: { session: session.id } });
    if (session.lost.aborted) noteLoss();
    else session.lost.addEventListener('abort', noteLoss, { once: true });
  }

  async claim(request: ClaimRequest): Promise<Delivery[]> {
    const { queues, names, limit, waitMs } = request;
    const call = this.#role.begin('claim', { args: { session: this.id, queues, names, limit, waitMs } });
    let deliveries: Delivery[];
    try {
      deliveries = await this.#session.claim(request);
    } catch (error) {
      call.answer(errorOutcome(error), { args: { session: this.id } });
      throw error;
    }
    if (deliveries.length === 0) call.answer('empty', { args: { session: this.id } });
    for (const delivery of deliveries) call.answer('delivered', deliveryFields(delivery));
    return deliveries;
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

function deliveryFields(delivery: Delivery): EventFields {
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
    },
  };
}

function leaseFields(lease: Lease, args: EventArgs): EventFields {
  const { taskId: task, fence, attempt, sessionId: session } = lease;
  return { task, fence, attempt, args: { session, ...args } };
}
