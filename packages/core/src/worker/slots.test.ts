import { describe, expect, it } from 'vitest';
import { ManualClock, turns, until } from '../../test/manual-clock.ts';
import { delivery, ScriptedBroker } from '../../test/scripted-broker.ts';
import { defineTask } from '../define-task.ts';
import { silentLogger } from '../logger.ts';
import { createWorker, type Worker } from './create-worker.ts';
import { handle } from './handle.ts';

/** A worker with a lane for each of these tasks; runs end when the test says so. */
function setUp(tasks: readonly string[], concurrency: number, prefetch?: number) {
  const broker = new ScriptedBroker();
  const clock = new ManualClock();
  const started: string[] = [];
  const running: { readonly name: string; readonly finish: () => void }[] = [];
  const handlers = tasks.map((name) =>
    handle(
      defineTask({ name }),
      () =>
        new Promise<void>((finish) => {
          started.push(name);
          running.push({ name, finish });
        }),
      { concurrency: 10 },
    ),
  );
  const worker: Worker = createWorker({
    broker,
    handlers,
    clock,
    concurrency,
    logger: silentLogger,
    maintenance: false,
    ...(prefetch === undefined ? {} : { prefetch }),
  });
  const push = (name: string, count: number): void =>
    broker.push(...Array.from({ length: count }, () => delivery({ name })));
  return {
    broker,
    worker,
    started,
    push,
    running,
    /** Ends the oldest runs one after the other, each after so many milliseconds. */
    async finish(count: number, ms = 0): Promise<void> {
      for (let ended = 0; ended < count; ended++) {
        await until(() => running.length > 0, 'a run');
        await clock.advance(ms);
        running.shift()?.finish();
        await turns(20);
      }
    },
    async stop(): Promise<void> {
      const stopped = worker.stop({ force: true });
      await clock.advance(0);
      await stopped;
    },
  };
}

const shareOf = (name: string, started: readonly string[]): number => started.filter((one) => one === name).length;

describe('the slots of a worker', () => {
  it.each([
    ['slow', 1, 1_000, undefined],
    ['slow', 5, 1_000, undefined],
    ['quick', 1, 1, undefined],
    ['quick', 5, 5, undefined],
    ['prefetched', 2, 10, 20],
  ])(
    'are not all taken by a flood of %s tasks (%i slots): a sparse lane gets its turn within 200 ms of slots becoming free',
    async (_kind, concurrency, ms, prefetch) => {
      for (const order of [
        ['flood', 'sparse'],
        ['sparse', 'flood'],
      ]) {
        const { worker, push, started, finish, stop } = setUp(order, concurrency, prefetch);
        await worker.start();
        push('flood', 2_000);
        await finish(concurrency * 2, ms);
        for (let round = 1; round <= 3; round++) {
          push('sparse', 1);
          // A look every 100 ms, or with the next free slot; then one slot's run at most is ahead of it.
          await finish(Math.ceil(200 / ms) + 2 * concurrency, ms);
          expect(shareOf('sparse', started)).toBe(round);
        }
        await stop();
      }
    },
  );

  it('are shared evenly by two floods', async () => {
    for (const ms of [1_000, 2]) {
      const { worker, push, started, finish, stop } = setUp(['one', 'two'], 4);
      await worker.start();
      push('one', 500);
      await finish(8, ms);
      started.length = 0;
      push('two', 500);
      await finish(100 + 200 / ms, ms);
      started.splice(0, started.length - 80);
      expect(shareOf('one', started)).toBeGreaterThan(30);
      expect(shareOf('two', started)).toBeGreaterThan(30);
      await stop();
    }
  });

  it('are all for the one lane that has work, whoever looks for work besides (CON-01)', async () => {
    const { worker, push, running, finish, broker, stop } = setUp(['flood', 'idle', 'idle too'], 4);
    await worker.start();
    push('flood', 200);
    await until(() => running.length === 4);
    for (let round = 0; round < 30; round++) {
      await finish(1, 40);
      await until(() => running.length === 4, 'all slots in use');
    }
    // Those who look in vain do not ask at every free slot.
    const looks = broker.session.claims.filter(({ names, waitMs }) => waitMs === 0 && !names.includes('flood'));
    expect(looks.length).toBeLessThanOrEqual(13);
    await stop();
  });

  it('are given back after a look that fails', async () => {
    const { worker, push, running, finish, broker, stop } = setUp(['flood', 'broken'], 2);
    await worker.start();
    push('flood', 100);
    await until(() => running.length === 2);
    const { session } = broker;
    const claim = session.claim.bind(session);
    session.claim = (request) =>
      request.names.includes('broken') && request.waitMs === 0
        ? Promise.reject(new TypeError('broken'))
        : claim(request);
    for (let round = 0; round < 20; round++) {
      await finish(1, 60);
      await until(() => running.length === 2, 'both slots in use');
    }
    await stop();
  });
});
