import type { Measurement } from '../measurement.ts';
import { makePayload } from '../payload.ts';
import type { ProcessorTime } from '../processor-time.ts';
import type { Producer, Subject } from '../subject.ts';

const inFlight = 100;
const bulkSize = 1000;
const warmUpSeconds = 0.4;

/** Each enqueue waits for the one before. */
export const sequential = (producer: Producer, deadline: number): Promise<number> => callUntil(producer, deadline);

/** What a web server does: a hundred requests at a time, each with its own enqueue. */
export async function concurrent(producer: Producer, deadline: number): Promise<number> {
  const counts = await Promise.all(Array.from({ length: inFlight }, () => callUntil(producer, deadline)));
  return counts.reduce((sum, count) => sum + count, 0);
}

/** A thousand tasks a call, each call waits for the one before. */
export async function bulk(producer: Producer, deadline: number): Promise<number> {
  let count = 0;
  while (performance.now() < deadline) {
    await producer.enqueueMany(Array.from({ length: bulkSize }, (_, index) => makePayload(index)));
    count += bulkSize;
  }
  return count;
}

async function callUntil(producer: Producer, deadline: number): Promise<number> {
  let count = 0;
  while (performance.now() < deadline) {
    await producer.enqueue(makePayload(count));
    count += 1;
  }
  return count;
}

/** Runs one of the three for a fixed time, connections warm. */
export async function measureEnqueue(
  subject: Subject,
  url: string,
  load: typeof sequential,
  seconds: number,
  processorTime: ProcessorTime,
): Promise<Measurement & { readonly stored: number }> {
  const producer = await subject.producer(url, 'fast');
  const warmUp = await load(producer, performance.now() + warmUpSeconds * 1000);
  const spent = processorTime.start();
  const start = performance.now();
  const tasks = await load(producer, start + seconds * 1000);
  const took = (performance.now() - start) / 1000;
  const cost = spent();
  await producer.close();
  return { tasks, seconds: took, stored: tasks + warmUp, peakRssMb: peakRssMb(), ...cost };
}

export const peakRssMb = (): number => process.resourceUsage().maxRSS / 1024;
