import type { Capabilities, ClaimRequest, NewTask, SettleOp } from '@millrace/core';
import { expect } from 'vitest';
import { buildTask } from '../src/context/builders.ts';
import { apply } from '../src/model/apply.ts';
import type { ModelOperation, ModelOutcome } from '../src/model/operation.ts';
import { rulesFor } from '../src/model/rules.ts';
import { emptyState, type ModelState } from '../src/model/state.ts';
import type { Step } from '../src/model/step.ts';
import { fullCapabilities } from './model-capabilities.ts';

export const request: ClaimRequest = { queues: ['line'], names: ['work'], limit: 1, waitMs: 0 };
export const task = (id: string, changes: Partial<NewTask> = {}): NewTask => buildTask({ id, ...changes });

/** A walk through the rules, in which every call has to have one way to end, unless asked for all. */
export class Walk {
  state: ModelState = emptyState;
  now = 1_000;
  readonly #capabilities: Capabilities;
  #step = 0;

  constructor(changes: Partial<Capabilities> = {}) {
    this.#capabilities = { ...fullCapabilities, ...changes };
  }

  ways(operation: ModelOperation, observed?: ModelOutcome): readonly Step[] {
    this.#step += 1;
    const occasion = { step: this.#step, now: { from: this.now, to: this.now }, exact: true };
    return apply(this.state, operation, occasion, rulesFor(this.#capabilities), observed);
  }

  do(operation: ModelOperation): ModelOutcome {
    const ways = this.ways(operation);
    expect(ways).toHaveLength(1);
    const [way] = ways as [Step];
    this.state = way.state;
    return way.outcome;
  }

  enqueue(...tasks: NewTask[]): string[] {
    const outcome = this.do({ type: 'enqueue', tasks });
    if (outcome.type !== 'enqueue') return [];
    return outcome.outcomes.map((each) => ('existingId' in each ? `${each.status} ${each.existingId}` : each.status));
  }

  open(session: string, ttlMs = 900): void {
    this.do({ type: 'openSession', session, ttlMs, worker: `${session}@host` });
  }

  claim(session: string, limit = 1): string[] {
    const outcome = this.do({ type: 'claim', session, request: { ...request, limit } });
    return outcome.type === 'claim'
      ? outcome.deliveries.map(({ lease }) => `${lease.taskId}#${lease.fence}/${lease.attempt}`)
      : [outcome.type];
  }

  settle(
    session: string,
    id: string,
    fence: number,
    operation: Partial<SettleOp> & { readonly type: SettleOp['type'] },
  ): string {
    const { attempt } = this.state.tasks.get(id) ?? { attempt: 1 };
    const lease = { taskId: id, fence, attempt, sessionId: session };
    const outcome = this.do({ type: 'settle', session, operations: [{ ...operation, lease } as SettleOp] });
    return outcome.type === 'settle' ? outcome.outcomes.join() : outcome.type;
  }

  control(control: 'cancel' | 'pause' | 'resume' | 'rerun' | 'remove', id: string): string {
    const outcome = this.do({ type: 'control', control, ids: [id] });
    return outcome.type === 'control' ? outcome.outcomes.join() : outcome.type;
  }

  /** State, attempt and failure of a task. */
  look(id: string): string {
    const found = this.state.tasks.get(id);
    return found === undefined
      ? 'gone'
      : [found.state, found.attempt, found.failure].filter((part) => part !== undefined).join(' ');
  }
}
