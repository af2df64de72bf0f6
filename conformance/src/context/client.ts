import type { Broker, Clock } from '@millrace/core';
import type { BrokerHarness, Target } from '../harness.ts';
import { FreezableClock } from './freezable-clock.ts';

/** One client of the namespace: a broker with a clock of its own, so that it can be frozen without the others. */
export class Client {
  readonly broker: Broker<unknown>;
  readonly target: Target;
  readonly #clock: FreezableClock;

  constructor(harness: BrokerHarness, place: Omit<Target, 'clock'>, clock: Clock, skewMs = 0) {
    this.#clock = new FreezableClock(clock, skewMs);
    this.target = { ...place, clock: this.#clock };
    this.broker = harness.connect(this.target);
  }

  /** Stops its timers, heartbeats among them. Calls still go through: the process lives and knows of nothing. */
  freeze(): void {
    this.#clock.freeze();
  }

  thaw(): void {
    this.#clock.thaw();
  }

  async close(): Promise<void> {
    this.#clock.thaw();
    await this.broker.close();
  }
}
