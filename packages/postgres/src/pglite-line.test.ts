import { expect, it } from 'vitest';
import { PgliteLine } from './pglite-line.ts';

it('runs one at a time, in order, and what is urgent before what waits', async () => {
  const line = PgliteLine.of({});
  const log: string[] = [];
  const step = (name: string, urgent = false) =>
    line.run(urgent, async () => {
      log.push(`${name} begins`);
      await new Promise((resolve) => setImmediate(resolve));
      log.push(`${name} ends`);
    });
  await Promise.all([step('first'), step('second'), step('third'), step('beat', true)]);
  expect(log.filter((entry) => entry.endsWith('begins'))).toEqual([
    'first begins',
    'beat begins',
    'second begins',
    'third begins',
  ]);
  for (let at = 0; at < log.length; at += 2) expect(log[at + 1]).toBe(log[at]?.replace('begins', 'ends'));
  await step('later');
  expect(log.at(-1)).toBe('later ends');
});

it('goes on after a failure, and hands on what it was', async () => {
  const line = PgliteLine.of({});
  const failing = line.run(false, () => Promise.reject(new Error('no such table')));
  const next = line.run(false, async () => 'next');
  await expect(failing).rejects.toThrow('no such table');
  expect(await next).toBe('next');
});

it('is one for all brokers of a database', () => {
  const database = {};
  expect(PgliteLine.of(database)).toBe(PgliteLine.of(database));
  expect(PgliteLine.of({})).not.toBe(PgliteLine.of(database));
});

it('leaves timers their turn, however many statements follow each other', async () => {
  const line = PgliteLine.of({});
  let fired = false;
  setTimeout(() => {
    fired = true;
  }, 1);
  const giveUpAt = performance.now() + 5_000;
  while (!fired && performance.now() < giveUpAt) await line.run(false, () => Promise.resolve());
  expect(fired).toBe(true);
});
