import assert from 'node:assert/strict';
import { type Broker, createClient, createWorker, defineTask, handle, typed } from '@millrace/core';
import { within } from './within.ts';

const inBulk = 2_000;
const singly = 100;
/** Less than a record of TLS (16 KiB), more, more than a frame of AMQP (128 KiB), and nothing. */
const lengths: readonly number[] = [0, 200, 17_000, 3_000, 140_000, 330_000];
const limitMs = 30_000;
const closeMs = 5_000;

const sized = defineTask({
  name: 'sized',
  queue: 'sized',
  input: typed<{ readonly number: number; readonly text: string }>(),
});

/** Of a length that the number tells, with characters of one, two and three bytes. */
function textOf(number: number): string {
  const length = number < inBulk ? number % 100 : (lengths[number % lengths.length] ?? 0);
  return `${number}é€ `.repeat(Math.ceil(length / 4)).slice(0, length);
}

/**
 * Enqueues 2,000 small tasks at once and 100 of all sizes one by one, runs all, and closes both brokers.
 * @throws AssertionError unless each ran once, with the input that was sent, and everything ended
 */
export async function runEachTaskOnce(producer: Broker<unknown>, consumer: Broker<unknown>): Promise<void> {
  const runs = Array.from({ length: inBulk + singly }, () => 0);
  const spoiled: number[] = [];
  let left = runs.length;
  let finish = (): void => {};
  const finished = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const handler = handle(sized, async ({ number, text }) => {
    if (text !== textOf(number)) spoiled.push(number);
    const earlier = runs[number] ?? 0;
    runs[number] = earlier + 1;
    if (earlier === 0) left -= 1;
    if (left === 0) finish();
  });
  const client = createClient({ broker: producer });
  const worker = createWorker({ broker: consumer, handlers: [handler], concurrency: 20 });
  await worker.start();
  const inputs = runs.map((_, number) => ({ number, text: textOf(number) }));
  await client.enqueueMany(
    sized,
    inputs.slice(0, inBulk).map((input) => ({ input })),
  );
  for (const input of inputs.slice(inBulk)) await client.enqueue(sized, input);
  await within(limitMs, 'running all tasks', finished);
  await within(closeMs, 'closing', Promise.all([worker.stop(), client.close()]));
  assert.deepEqual(spoiled, [], 'tasks whose input changed on the way');
  const wrong = runs.flatMap((count, number) => (count === 1 ? [] : [{ number, count }]));
  assert.deepEqual(wrong, [], 'tasks that did not run once');
}
