import { shown } from '../context/checks.ts';
import type { Scenario } from '../scenario.ts';
import { endOfCall, longestCallMs, recoveryMs } from './call-end.ts';
import { faultScenario } from './fault-scenario.ts';
import { Load } from './load.ts';
import { layWire } from './wire.ts';

/** Links that break, are refused, and come back. */
export const linkScenarios: readonly Scenario[] = [
  faultScenario({
    id: 'FLT-01',
    rule: 'R-FLT-1',
    title: 'all links are severed while everything is idle: the next task is enqueued and starts without help',
    patience: 2,
    async run(t) {
      const wire = await layWire(t);
      const [producing, working] = [await wire.open(), await wire.open()];
      const load = new Load(t);
      const { worker } = await load.hire(working, 0);
      for (let round = 1; round <= 3; round++) {
        await load.enqueue(producing);
        await t.eventually(() => load.started === round, `the start of task ${round}`, recoveryMs(t));
        // Idle: the settle is answered, and a claim waits.
        await t.tempo.pause(2 * t.unitMs);
        t.ok(wire.proxy.sever() > 0, 'there were links to sever');
      }
      await load.drain(recoveryMs(t));
      await t.soon(worker.stop(), 'the stop of the worker', recoveryMs(t));
      const { state } = await t.soon(producing.broker.health(), 'the health', longestCallMs);
      t.equal(state, 'ready', 'the health at the end');
    },
  }),
  faultScenario({
    id: 'FLT-02',
    rule: 'R-FLT-1',
    title:
      'links are severed during a long poll, at the moment a task arrives: it starts all the same, no wake-up is lost',
    patience: 3,
    async run(t) {
      const wire = await layWire(t);
      const load = new Load(t);
      await load.hire(await wire.open(), 0);
      for (let round = 1; round <= 10; round++) {
        await t.tempo.pause(Math.random() * t.unitMs);
        // Just before it, just after it, or while the wake-up is on its way.
        if (round % 3 === 0) wire.proxy.sever();
        const enqueued = load.enqueue(t.client);
        if (round % 3 === 1) wire.proxy.sever();
        await enqueued;
        if (round % 3 === 2) wire.proxy.sever();
        await t.eventually(() => load.started === round, `the start of task ${round}`, recoveryMs(t));
      }
      await load.drain(recoveryMs(t));
      t.equal(load.started, 10, 'tasks that ran');
    },
  }),
  faultScenario({
    id: 'FLT-03',
    rule: 'R-FLT-1',
    title: 'links are severed while handlers run: they finish, and each result is applied once',
    patience: 2,
    async run(t) {
      const wire = await layWire(t);
      const load = new Load(t);
      const { worker } = await load.hire(await wire.open(), Math.round(4 * t.unitMs), { concurrency: 10, prefetch: 0 });
      for (let task = 0; task < 30; task++) await load.enqueue(t.client);
      for (let round = 1; round <= 3; round++) {
        await t.eventually(() => load.runs.length >= round * 8, 'runs under way', recoveryMs(t));
        wire.proxy.sever();
      }
      await load.drain(recoveryMs(t));
      await t.soon(worker.stop(), 'the stop of the worker', recoveryMs(t));
      await load.leavesNothing();
    },
  }),
  faultScenario({
    id: 'FLT-14',
    rule: 'R-FLT-1',
    title: 'connections are refused at the start and in the middle: errors that say so, no busy loop, and recovery',
    patience: 4,
    async run(t) {
      const wire = await layWire(t);
      wire.proxy.refuse();
      const late = wire.connect();
      const opening = await endOfCall(t, () => late.broker.open(), 'opening while nobody listens');
      t.equal(opening.how, 'not-applied', 'how the opening ends');
      await wire.proxy.accept();
      t.equal(await t.soon(late.broker.open(), 'opening again', longestCallMs), t.capabilities, 'the capabilities');

      const load = new Load(t);
      await load.hire(late, 0);
      await load.enqueue(late);
      await t.eventually(() => load.started === 1, 'the first run', recoveryMs(t));
      wire.proxy.refuse('reset');
      wire.proxy.sever();
      // Until it has noticed, a request may be written to a connection that is gone: that outcome is unknown.
      await t.tempo.pause(2 * t.unitMs);
      const enqueue = endOfCall(
        t,
        () => late.broker.enqueue([t.task({ queue: 'other' })]),
        'an enqueue while connections are refused',
      );
      const halfMs = 2_500;
      await t.tempo.pause(halfMs);
      const firstHalf = wire.proxy.stats.refused;
      await t.tempo.pause(halfMs);
      const secondHalf = wire.proxy.stats.refused - firstHalf;
      t.ok(firstHalf + secondHalf > 0, 'it tries to reconnect');
      t.between(firstHalf, 0, 40 * (halfMs / 1_000), 'attempts to connect in the first half');
      t.between(secondHalf, 0, firstHalf + 5, 'attempts to connect in the second half: there is a back-off');
      const refused = await enqueue;
      t.ok(
        refused.how === 'not-applied',
        `an enqueue that got no connection was not applied, and says so; got ${shown(refused)}`,
      );
      await wire.proxy.accept();
      await load.enqueue(t.client);
      await t.eventually(() => load.started === 2, 'the next run', recoveryMs(t));
      await load.drain(recoveryMs(t));
    },
  }),
  faultScenario({
    id: 'FLT-15',
    rule: 'R-FLT-1',
    title: 'the network flaps, up 200 ms and down 200 ms: nothing is lost, nothing runs twice without a reason',
    patience: 6,
    async run(t) {
      const wire = await layWire(t);
      const [producing, working] = [await wire.open(), await wire.open()];
      const load = new Load(t);
      const { worker } = await load.hire(working, 5);
      const stop = new AbortController();
      const producers = [1, 2].map(() => load.produce(producing, stop.signal, 20));
      for (let flap = 0; flap < 20; flap++) {
        await t.tempo.pause(200);
        const down = wire.proxy.refuse();
        wire.proxy.sever();
        await t.tempo.pause(200);
        down.heal();
      }
      stop.abort();
      await t.soon(Promise.all(producers), 'the last enqueues', longestCallMs + recoveryMs(t));
      t.ok(load.enqueued.length > 0, 'tasks got through');
      await load.drain(recoveryMs(t) + longestCallMs);
      await t.soon(worker.stop(), 'the stop of the worker', recoveryMs(t));
      await load.leavesNothing();
    },
  }),
  faultScenario({
    id: 'FLT-16',
    rule: 'R-FLT-1',
    title: 'only the producers are severed, only the workers, only one link after the other: the others do not notice',
    patience: 4,
    async run(t) {
      const producers = await layWire(t);
      const workers = await layWire(t);
      const producing = await producers.open();
      const working = await workers.open();
      const load = new Load(t);
      await load.hire(working, 0);
      await load.enqueue(producing);
      await t.eventually(() => load.started === 1, 'the first run');

      const links = workers.proxy.stats.opened;
      for (let round = 0; round < 5; round++) {
        producers.proxy.sever();
        await load.enqueue(producing);
      }
      await t.eventually(() => load.started === 6, 'runs while producers are severed', recoveryMs(t));
      t.equal(workers.proxy.stats.severed, 0, 'links of workers severed');
      t.between(workers.proxy.stats.opened - links, 0, 2, 'new links of workers: they have no reason to reconnect');

      const before = producers.proxy.stats.opened;
      for (let round = 1; round <= 3; round++) {
        workers.proxy.sever();
        await load.enqueue(producing);
        await t.eventually(() => load.started === 6 + round, 'a run after workers were severed', recoveryMs(t));
      }
      t.equal(producers.proxy.stats.opened, before, 'links of producers opened');

      // Each link by itself: the one that listens is among them.
      for (const { number } of workers.proxy.links) {
        const started = load.started;
        workers.proxy.sever((link) => link.number === number);
        await load.enqueue(producing);
        await t.eventually(() => load.started === started + 1, `a run after link ${number} was severed`, recoveryMs(t));
      }
      await load.drain(recoveryMs(t));
    },
  }),
];
