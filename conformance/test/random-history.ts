import type { Broker, Capabilities, Delivery, Session } from '@millrace/core';
import type { HistoryEvent } from '../src/history/event.ts';
import { memoryJournal } from '../src/history/journal.ts';
import { recordBroker } from '../src/history/recorded-broker.ts';
import { recordFields } from '../src/history/recorded-task-store.ts';
import { Recorder } from '../src/history/recorder.ts';
import { ModelBackend } from './model-broker.ts';
import { controlTask, names, newTask, queues, settleOf } from './random-choices.ts';
import { Simulation } from './simulation.ts';

const ttlMs = 200;

/** What a random history is made of. */
export interface RandomHistoryOptions {
  readonly capabilities: Capabilities;
  readonly seed: number;
  /** Workers at a time. */
  readonly workers: number;
  /** Calls of each actor, more or less. */
  readonly calls: number;
  /** Share of answers that get lost. */
  readonly lossy: number;
  /** Whether workers die. */
  readonly deadly: boolean;
}

/**
 * A history that is legal by construction: actors call a backend that is made of the rules, all at the same time, and
 * what they see is recorded. In the end everything is drained and read.
 */
export async function randomHistory(options: RandomHistoryOptions): Promise<readonly HistoryEvent[]> {
  const simulation = new Simulation(options.seed);
  const backend = new ModelBackend(simulation, options.capabilities);
  const run = new HistoryRun(simulation, backend, options);
  backend.lossy = options.lossy;
  const actors = [run.producer('p1'), run.producer('p2'), run.controller(), run.maintainer()];
  for (let worker = 1; worker <= options.workers; worker++) actors.push(run.worker(`w${worker}`));
  await simulation.run(actors);
  backend.lossy = 0;
  await simulation.run([run.finish()]);
  return run.journal.events;
}

class HistoryRun {
  readonly journal = memoryJournal();
  readonly #simulation: Simulation;
  readonly #backend: ModelBackend;
  readonly #options: RandomHistoryOptions;
  readonly #ids: string[] = [];
  #pids = 0;
  #working = true;

  constructor(simulation: Simulation, backend: ModelBackend, options: RandomHistoryOptions) {
    this.#simulation = simulation;
    this.#backend = backend;
    this.#options = options;
  }

  async producer(role: string): Promise<void> {
    const { broker } = this.#process(role);
    const { dice } = this.#simulation;
    for (let call = 0; call < this.#options.calls; call++) {
      await this.#pause(8);
      const tasks = Array.from({ length: dice.chance(0.2) ? 3 : 1 }, () => newTask(this.#ids, dice));
      // A caller that was not answered asks again: the id makes that safe.
      for (let tries = 0; tries < 3; tries++) {
        const answered = await broker.enqueue(tasks).catch(() => undefined);
        if (answered !== undefined) break;
      }
    }
  }

  async controller(): Promise<void> {
    const { broker } = this.#process('control');
    const { dice } = this.#simulation;
    for (let call = 0; call < this.#options.calls; call++) {
      await this.#pause(10);
      const id = dice.pick(this.#ids.length > 0 ? this.#ids : ['nobody']);
      await controlTask(broker, id, this.#ids, dice).catch(() => {});
    }
    for (const queue of queues) await this.#persist(() => broker.queues.resume(queue));
  }

  async maintainer(): Promise<void> {
    const { broker } = this.#process('sweeper');
    for (let call = 0; call < this.#options.calls / 2; call++) {
      await this.#pause(60);
      await broker.maintain({ maxTasks: 1_000 }).catch(() => {});
    }
    this.#working = false;
  }

  /** A place at which one process after the other works. */
  async worker(role: string): Promise<void> {
    const { dice } = this.#simulation;
    for (let life = 1; this.#working; life++) {
      const { broker, recorder, pid } = this.#process(`${role}.${life}`);
      const session = await this.#persist(() =>
        broker.openSession({ instance: `${role}.${life}`, host: 'host', ttlMs, onSignal: () => {} }),
      );
      const dies = this.#options.deadly && dice.chance(0.4);
      const calls = dies ? 3 + dice.below(8) : this.#options.calls;
      for (let call = 0; call < calls && this.#working; call++) await this.#work(session, recorder, `${role}.${life}`);
      if (!dies) {
        await session.end();
        return;
      }
      // Nothing of it is heard any more; the session at the broker lives on until its time to live is over.
      recorder.note('suite', 'fault', { args: { fault: 'kill', faultPhase: 'instant', target: pid } });
      await this.#backend.call({ type: 'freeze', session: session.id }).catch(() => {});
      await this.#pause(50);
    }
  }

  async finish(): Promise<void> {
    const { broker, recorder } = this.#process('suite');
    for (const queue of queues) await broker.queues.resume(queue);
    await this.#simulation.sleep(20 * ttlMs);
    await broker.maintain({ maxTasks: 1_000 });
    await broker.tasks?.resume(this.#ids);
    const session = await broker.openSession({ instance: 'drain', host: 'host', ttlMs: 1_000_000, onSignal: () => {} });
    for (let empty = 0; empty < 2; ) {
      const deliveries = await session.claim({ queues, names, limit: 10, waitMs: 0 });
      empty = deliveries.length === 0 ? empty + 1 : 0;
      await session.settle(deliveries.map(({ lease }) => ({ type: 'complete', lease, output: '"drained"' })));
    }
    recorder.note('suite', 'drained');
    const records = (await broker.tasks?.get(this.#ids)) ?? [];
    const counts: Record<string, number> = {};
    for (const [index, record] of records.entries()) {
      recorder.note('suite', 'final', { task: this.#ids[index] ?? '', ...recordFields(record) });
      if (record !== undefined) counts[record.state] = (counts[record.state] ?? 0) + 1;
    }
    recorder.note('suite', 'counts', { args: { counts } });
  }

  async #work(session: Session, recorder: Recorder, role: string): Promise<void> {
    await this.#pause(4);
    const request = {
      queues: this.#simulation.dice.chance(0.8) ? queues : ['line'],
      names,
      limit: 1 + this.#simulation.dice.below(3),
      waitMs: 0,
    };
    const deliveries = await session.claim(request).catch((): Delivery[] => []);
    for (const delivery of deliveries) {
      const { taskId: task, fence, attempt } = delivery.lease;
      recorder.note(role, 'start', { task, queue: delivery.queue, fence, attempt });
      await this.#pause(6);
      recorder.note(role, 'end', { task, queue: delivery.queue, fence, attempt });
      if (this.#simulation.dice.chance(0.1)) await session.report([{ lease: delivery.lease, begun: true }]);
      if (this.#simulation.dice.chance(0.05)) continue;
      const operation = settleOf(delivery, this.#simulation.dice);
      let [outcome] = await session.settle([operation]);
      // An answer that was lost is asked for again, as the core does.
      for (let tries = 0; outcome === 'unknown' && tries < 2; tries++) [outcome] = await session.settle([operation]);
    }
  }

  #process(role: string): { readonly broker: Broker<never>; readonly recorder: Recorder; readonly pid: number } {
    this.#pids += 1;
    const pid = this.#pids;
    const now = (): number => Math.round(this.#simulation.now * 1_000);
    const recorder = new Recorder({ journals: [this.journal], now, epoch: () => this.#simulation.now, pid });
    return { broker: recordBroker(this.#backend.connect(), recorder, role), recorder, pid };
  }

  async #persist<T>(call: () => Promise<T>): Promise<T> {
    for (;;) {
      const answer = await call().then(
        (value) => ({ value }),
        () => undefined,
      );
      if (answer !== undefined) return answer.value;
    }
  }

  #pause(ms: number): Promise<void> {
    return this.#simulation.sleep(this.#simulation.dice.next() * 2 * ms);
  }
}
