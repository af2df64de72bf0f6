import type { NewTask } from '@millrace/core';
import { expect, test } from 'vitest';
import { newTask } from './builders.ts';
import { serverUrl, withClient } from './harness.ts';
import { newBroker, newSchema, watchUnhandled } from './support.ts';

watchUnhandled();

// Tasks that differ in nothing but id and input take a shorter way, a lone one the shortest.
test.each([
  ['a lone task', 1],
  ['alike tasks', 20],
])(
  '%s promised to be new: an id that is there all the same is a duplicate, the others are stored',
  async (_title, count) => {
    const broker = newBroker();
    await broker.open();
    const known = newTask({ id: 'known', input: '"first"', fresh: true });
    await broker.enqueue([newTask({ fresh: true })]);
    expect(await broker.enqueue([known])).toEqual([{ status: 'accepted' }]);
    const others = Array.from({ length: count - 1 }, () => newTask({ input: '"second"', fresh: true }));
    const outcomes = await broker.enqueue([...others, { ...known, input: '"second"' }]);
    expect(outcomes).toEqual([
      ...others.map(() => ({ status: 'accepted' })),
      { status: 'duplicate', existingId: 'known' },
    ]);
    expect((await broker.tasks.get(['known']))[0]?.input).toBe('"first"');
  },
);

test('every column is stored alike on the three ways', async () => {
  const schema = newSchema();
  const broker = newBroker({ schema });
  await broker.open();
  const rich = {
    headers: { trace: 'a"b\\c' },
    priority: 7,
    delayMs: 3_600_000,
    expiresInMs: 7_200_000,
    maxAttempts: Number.POSITIVE_INFINITY,
    timeoutMs: 1_234,
    group: "it's",
    owner: '{"o"}',
    version: 3,
    input: '{"text":"\\u0000 \u2028 é"}',
  };
  const task = (id: string): NewTask => newTask({ ...rich, id, fresh: true });
  for (let spare = 0; spare < 2; spare++) await broker.enqueue([newTask({ fresh: true })]);
  await broker.enqueue([task('lone')]);
  await broker.enqueue([task('first'), task('second')]);
  await broker.enqueue([task('mixed'), newTask({ name: 'other', fresh: true })]);
  const { rows } = await withClient(serverUrl, (client) =>
    client.query(
      `select name, queue, headers, input, priority, run_at - created_at as delay, expires_at - created_at as expiry,
         max_attempts, timeout_ms, group_name, owner, version, state
       from ${schema}.task where id = any ($1)`,
      [['lone', 'first', 'second', 'mixed']],
    ),
  );
  expect(rows).toHaveLength(4);
  for (const row of rows) expect(row).toEqual(rows[0]);
  expect(rows[0]).toMatchObject({ delay: '3600000', expiry: '7200000', max_attempts: null, timeout_ms: '1234' });
});
