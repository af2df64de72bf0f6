import { afterEach, describe, expect, it } from 'vitest';
import { turns } from '../../test/manual-clock.ts';
import type { ShutdownReport } from './shutdown.ts';
import { type Stoppable, stopOnSignals } from './stop-on-signals.ts';

// A signal nobody else in the test process listens to; emitted, not sent.
const signal = 'SIGUSR2';

function worker(report: Partial<ShutdownReport> = {}) {
  const stops: (boolean | undefined)[] = [];
  let finish = (): void => {};
  const stopped = new Promise<ShutdownReport>((resolve) => {
    finish = () => resolve({ drained: 0, released: 0, unconfirmed: 0, abandoned: 0, ...report });
  });
  const stoppable: Stoppable = {
    stop: (options) => {
      stops.push(options?.force);
      return stopped;
    },
  };
  return { ...stoppable, stops, finish };
}

afterEach(() => {
  expect(process.listenerCount(signal)).toBe(0);
});

describe('stopOnSignals', () => {
  it('stops at the first signal, forces at the second, and tells the sum', async () => {
    const [one, two] = [worker({ drained: 1, released: 2 }), worker({ drained: 3, abandoned: 4 })];
    const reports: ShutdownReport[] = [];
    stopOnSignals([one, two], { signals: [signal], onStopped: (report) => reports.push(report) });
    process.emit(signal);
    process.emit(signal);
    expect([one.stops, two.stops]).toEqual([
      [false, true],
      [false, true],
    ]);
    one.finish();
    await turns();
    expect(reports).toEqual([]);
    two.finish();
    await turns();
    expect(reports).toEqual([{ drained: 4, released: 2, unconfirmed: 0, abandoned: 4 }]);
  });

  it('takes a single worker', async () => {
    const one = worker();
    stopOnSignals(one, { signals: [signal] });
    process.emit(signal);
    one.finish();
    await turns();
    expect(one.stops).toEqual([false]);
  });

  it('can be taken off again', () => {
    const one = worker();
    stopOnSignals(one, { signals: [signal] })();
    process.emit(signal);
    expect(one.stops).toEqual([]);
  });

  it('listens to SIGTERM and SIGINT by default', () => {
    const before = ['SIGTERM', 'SIGINT'].map((name) => process.listenerCount(name));
    const off = stopOnSignals(worker());
    expect(['SIGTERM', 'SIGINT'].map((name) => process.listenerCount(name))).toEqual(before.map((count) => count + 1));
    off();
    expect(['SIGTERM', 'SIGINT'].map((name) => process.listenerCount(name))).toEqual(before);
  });

  it('waits for the others when one cannot stop', async () => {
    const other = worker({ drained: 1 });
    const broken: Stoppable = { stop: async () => Promise.reject(new Error('cannot')) };
    const reports: ShutdownReport[] = [];
    stopOnSignals([broken, other], { signals: [signal], onStopped: (report) => reports.push(report) });
    process.emit(signal);
    process.emit(signal);
    await turns();
    expect(reports).toEqual([]);
    other.finish();
    await turns();
    expect(reports).toEqual([{ drained: 1, released: 0, unconfirmed: 0, abandoned: 0 }]);
  });

  it('refuses options nobody knows', () => {
    expect(() => stopOnSignals(worker(), { signal: ['SIGHUP'] } as never)).toThrow(
      expect.objectContaining({ code: 'VALIDATION', option: 'signal' }),
    );
  });
});
