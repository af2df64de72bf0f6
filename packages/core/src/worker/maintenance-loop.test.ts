import { describe, expect, it } from 'vitest';
import { ManualClock, turns } from '../../test/manual-clock.ts';
import { ScriptedBroker } from '../../test/scripted-broker.ts';
import type { MaintenanceReport } from '../broker/broker.ts';
import { runMaintenance } from './maintenance-loop.ts';

const quiet: MaintenanceReport = { reclaimed: 0, expired: 0, pruned: 0, more: false };

function start(script: (call: number) => Promise<MaintenanceReport>, random = 0.5) {
  const broker = new ScriptedBroker();
  broker.onMaintain = () => script(broker.maintained);
  const clock = new ManualClock();
  const stop = new AbortController();
  const warnings: string[] = [];
  const silent = (): void => {};
  const logger = {
    debug: silent,
    info: silent,
    error: silent,
    warn: (_fields: unknown, message?: string) => void warnings.push(message ?? ''),
  };
  const loop = runMaintenance({ broker, intervalMs: 1_000, clock, logger, random: () => random, stop: stop.signal });
  return { broker, clock, stop, warnings, loop };
}

describe('runMaintenance', () => {
  it('works at once and then at its interval, until stopped', async () => {
    const { broker, clock, stop, loop } = start(async () => quiet);
    await clock.advance(3_500);
    expect(broker.maintained).toBe(4);
    stop.abort();
    await loop;
    expect(clock.pending).toBe(0);
  });

  it('spreads the interval by a tenth, so that workers do not sweep together', async () => {
    for (const [random, ms] of [
      [0, 900],
      [1, 1_100],
    ] as const) {
      const { broker, clock } = start(async () => quiet, random);
      await clock.advance(ms - 1);
      expect(broker.maintained).toBe(1);
      await clock.advance(2);
      expect(broker.maintained).toBe(2);
    }
  });

  it('goes on at once while there is more', async () => {
    const { broker } = start(async (call) => ({ ...quiet, more: call < 5 }));
    await turns();
    expect(broker.maintained).toBe(5);
  });

  it('says when it took tasks back', async () => {
    const { clock, warnings } = start(async (call) => ({ ...quiet, reclaimed: call === 1 ? 3 : 0 }));
    await clock.advance(2_000);
    expect(warnings).toEqual(['took tasks back from workers that went silent']);
  });

  it('survives failures, also ones thrown at once', async () => {
    const { broker, clock, warnings } = start((call) => {
      if (call === 1) throw new Error('at once');
      return call === 2 ? Promise.reject(new Error('later')) : Promise.resolve(quiet);
    });
    await clock.advance(3_000);
    expect(broker.maintained).toBe(4);
    expect(warnings).toHaveLength(2);
  });

  it('says nothing about a failure that the stop has caused', async () => {
    const { stop, warnings, loop } = start(async () => {
      await Promise.resolve();
      stop.abort();
      throw new Error('aborted');
    });
    await loop;
    expect(warnings).toEqual([]);
  });
});
