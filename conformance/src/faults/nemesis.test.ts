import { expect, it } from 'vitest';
import { type NemesisFault, planNemesis, runNemesis, seededRandom } from './nemesis.ts';

const begun: string[] = [];
const ended: string[] = [];
const fault = (name: string, weight = 1): NemesisFault => ({
  name,
  weight,
  start: () => {
    begun.push(name);
    return { heal: () => void ended.push(name) };
  },
});

it('plans by the seed, without overlap, within the duration', () => {
  const faults = [fault('a'), fault('b', 3)];
  const plan = planNemesis({ seed: 7, faults, durationMs: 60_000 });
  expect(plan).toEqual(planNemesis({ seed: 7, faults, durationMs: 60_000 }));
  expect(plan).not.toEqual(planNemesis({ seed: 8, faults, durationMs: 60_000 }));
  expect(plan.length).toBeGreaterThan(30);
  let end = 0;
  for (const { at, forMs } of plan) {
    expect(at).toBeGreaterThanOrEqual(end);
    end = at + forMs;
  }
  expect(end).toBeLessThanOrEqual(60_000);
  const often = plan.filter((each) => each.fault.name === 'b').length / plan.length;
  expect(often).toBeGreaterThan(0.55);
  expect(planNemesis({ seed: 1, faults: [], durationMs: 1_000 })).toEqual([]);
});

it('ends everything, heals last, and stops when told to', async () => {
  begun.length = ended.length = 0;
  let healed = 0;
  const report = await runNemesis({
    seed: 3,
    faults: [fault('a'), { name: 'instant', start: () => undefined }],
    durationMs: 200,
    meanPauseMs: 5,
    meanFaultMs: 5,
    heal: () => {
      healed = begun.length;
    },
  });
  expect(report.started).toBe(report.names.length);
  expect(report.names).toContain('a');
  expect(ended).toEqual(begun);
  expect(healed).toBe(begun.length);

  begun.length = ended.length = 0;
  const stop = new AbortController();
  const running = runNemesis({
    seed: 3,
    faults: [fault('long')],
    durationMs: 3_600_000,
    meanPauseMs: 1,
    meanFaultMs: 1e6,
    signal: stop.signal,
  });
  while (begun.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  stop.abort();
  expect((await running).started).toBe(1);
  expect(ended).toEqual(['long']);
});

it('ends what it began when a fault cannot be started', async () => {
  let healed = false;
  const failing: NemesisFault = {
    name: 'failing',
    start: () => {
      throw new Error('cannot');
    },
  };
  const running = runNemesis({
    seed: 1,
    faults: [failing],
    durationMs: 100,
    meanPauseMs: 1,
    meanFaultMs: 1,
    heal: () => {
      healed = true;
    },
  });
  await expect(running).rejects.toThrow('cannot');
  expect(healed).toBe(true);
});

it('gives numbers in [0, 1), evenly', () => {
  const random = seededRandom(42);
  const numbers = Array.from({ length: 10_000 }, random);
  expect(numbers.every((number) => number >= 0 && number < 1)).toBe(true);
  const mean = numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
  expect(mean).toBeGreaterThan(0.48);
  expect(mean).toBeLessThan(0.52);
});
