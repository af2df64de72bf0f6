import type { Clock, Session, SessionSignal } from '@millrace/core';
import { Client } from '../context/client.ts';
import type { BrokerHarness } from '../harness.ts';
import type { Naming } from './naming.ts';
import type { ModelOperation, ModelOutcome } from './operation.ts';
import type { TimeMachine } from './time-machine.ts';

type InSession = Extract<ModelOperation, { readonly session: string }>;

interface Hand {
  readonly client: Client;
  readonly session: Session;
  readonly signals: SessionSignal[];
}

/** The sessions of a program: each with a client of its own, so that one can be stopped without the others. */
export class Hands {
  readonly #connect: () => Client;
  readonly #naming: Naming;
  readonly #hands = new Map<string, Hand>();

  /** @param shared a client all of them use instead, where a client is dear and none is going to be stopped. */
  constructor(
    place: { readonly harness: BrokerHarness; readonly namespace: string; readonly clock: Clock },
    naming: Naming,
    shared: Client | undefined,
  ) {
    const { harness, namespace, clock } = place;
    this.#connect = () => shared ?? new Client(harness, { url: harness.url ?? '', namespace }, clock);
    this.#naming = naming;
    this.#shared = shared;
  }
  readonly #shared: Client | undefined;

  /** What the broker told the holder of a session so far. */
  signalsOf(name: string): readonly SessionSignal[] {
    const signals = this.#hands.get(name)?.signals ?? [];
    return signals.map((signal) => ({ ...signal, taskId: this.#naming.bare(signal.taskId) }));
  }

  isLost(name: string): boolean {
    return this.#hands.get(name)?.session.lost.aborted === true;
  }

  async run(operation: InSession, time: TimeMachine): Promise<ModelOutcome> {
    if (operation.type === 'openSession') return this.#open(operation);
    const hand = this.#hands.get(operation.session);
    if (hand === undefined) throw new TypeError(`there is no session ${operation.session}`);
    switch (operation.type) {
      case 'claim':
        return this.#claim(hand, operation);
      case 'settle': {
        const operations = operation.operations.map((each) => ({ ...each, lease: this.#naming.lease(each.lease) }));
        return { type: 'settle', outcomes: await hand.session.settle(operations) };
      }
      case 'report': {
        const reports = operation.reports.map((each) => ({ ...each, lease: this.#naming.lease(each.lease) }));
        return { type: 'settle', outcomes: await hand.session.report(reports) };
      }
      case 'endSession':
        await (operation.close && hand.client !== this.#shared ? hand.client.close() : hand.session.end());
        return { type: 'done' };
      case 'freeze':
        hand.client.freeze();
        await time.calm();
        return { type: 'done' };
      case 'thaw':
        hand.client.thaw();
        // Beats that fell due meanwhile go out, and are answered, before it is asked.
        await time.settle(() => hand.session.lost.aborted);
        return { type: 'thaw', lost: hand.session.lost.aborted };
    }
  }

  /** Ends all of them. Never rejects: what went wrong before is of more interest. */
  async close(): Promise<void> {
    for (const { client, session } of this.#hands.values()) {
      await (client === this.#shared ? session.end() : client.close()).catch(() => {});
    }
  }

  async #open(operation: Extract<InSession, { readonly type: 'openSession' }>): Promise<ModelOutcome> {
    const [instance = 'worker', host = 'host'] = operation.worker.split('@');
    const client = this.#connect();
    await client.broker.open();
    const signals: SessionSignal[] = [];
    const onSignal = (signal: SessionSignal): void => void signals.push(signal);
    const session = await client.broker.openSession({ instance, host, ttlMs: operation.ttlMs, onSignal });
    this.#hands.set(operation.session, { client, session, signals });
    this.#naming.addSession(operation.session, session.id);
    return { type: 'done' };
  }

  async #claim(hand: Hand, operation: Extract<InSession, { readonly type: 'claim' }>): Promise<ModelOutcome> {
    const { request } = operation;
    const queues = request.queues.map((queue) => this.#naming.real(queue));
    const deliveries = await hand.session.claim({ ...request, queues });
    return { type: 'claim', deliveries: deliveries.map((delivery) => this.#naming.bareDelivery(delivery)) };
  }
}
