import type { Measurement } from '../measurement.ts';
import { makePayload, markOf } from '../payload.ts';
import type { ProcessorTime } from '../processor-time.ts';
import type { Subject } from '../subject.ts';
import { peakRssMb } from './enqueue.ts';

const concurrency = 100;
const batch = 1000;
const graceMs = 10_000;
const lookMs = 50;

/**
 * Enqueues tasks with delays spread evenly between two bounds, in no order, and notes how late each starts: counted
 * from the moment its enqueue was called, so that a negative figure is a task that certainly ran early.
 */
export async function measureDelays(
  subject: Subject,
  url: string,
  { tasks, fromMs, toMs }: { tasks: number; fromMs: number; toMs: number },
  processorTime: ProcessorTime,
): Promise<Measurement> {
  const lateness: number[] = [];
  const worker = await subject.worker(url, 'default', concurrency, async (payload) => {
    lateness.push(performance.now() - markOf(payload));
  });
  const producer = await subject.producer(url, 'default');
  if (producer.enqueueLater === undefined) throw new Error(`${subject.name} was not asked for delays`);
  const delays = spreadDelays(tasks, fromMs, toMs);
  const spent = processorTime.start();
  const start = performance.now();
  for (let sent = 0; sent < tasks; sent += batch) {
    const now = performance.now();
    const some = delays.slice(sent, sent + batch);
    await producer.enqueueLater(some.map((delayMs) => ({ payload: makePayload(now + delayMs), delayMs })));
  }
  const deadline = performance.now() + toMs + graceMs;
  while (lateness.length < tasks && performance.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, lookMs));
  }
  const seconds = (performance.now() - start) / 1000;
  const cost = spent();
  await producer.close();
  await worker.stop();
  return { tasks: lateness.length, seconds, latencies: lateness, sent: tasks, peakRssMb: peakRssMb(), ...cost };
}

/** Whole milliseconds from `fromMs` to `toMs`, evenly spread, in an order that is mixed but always the same. */
export function spreadDelays(tasks: number, fromMs: number, toMs: number): readonly number[] {
  const step = tasks > 1 ? (toMs - fromMs) / (tasks - 1) : 0;
  // A stride without a common divisor visits every place once.
  const stride = strideFor(tasks);
  return Array.from({ length: tasks }, (_, index) => Math.round(fromMs + ((index * stride) % tasks) * step));
}

function strideFor(tasks: number): number {
  const divisor = (a: number, b: number): number => (b === 0 ? a : divisor(b, a % b));
  let stride = Math.max(1, Math.floor(tasks * 0.618));
  while (divisor(stride, tasks) !== 1) stride += 1;
  return stride;
}
