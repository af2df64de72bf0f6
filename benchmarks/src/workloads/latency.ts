import type { Measurement } from '../measurement.ts';
import { makePayload, markOf } from '../payload.ts';
import type { ProcessorTime } from '../processor-time.ts';
import type { Subject } from '../subject.ts';
import { peakRssMb } from './enqueue.ts';

const concurrency = 10;
const warmUpTasks = 25;
const graceMs = 3000;

/**
 * A steady load that does not wait for answers, with default settings. Producer and worker share a process, so that
 * one clock measures both, but no connection and no object.
 */
export async function measureLatency(
  subject: Subject,
  url: string,
  { seconds, perSecond }: { seconds: number; perSecond: number },
  processorTime: ProcessorTime,
): Promise<Measurement> {
  const latencies: number[] = [];
  let measuring = false;
  const worker = await subject.worker(url, 'default', concurrency, async (payload) => {
    if (measuring) latencies.push(performance.now() - markOf(payload));
  });
  const producer = await subject.producer(url, 'default');
  await sendSteadily(producer.enqueue, warmUpTasks, perSecond);
  await pause(500);

  measuring = true;
  const spent = processorTime.start();
  const start = performance.now();
  const sent = seconds * perSecond;
  await sendSteadily(producer.enqueue, sent, perSecond);
  const cost = spent();
  const took = (performance.now() - start) / 1000;
  const deadline = performance.now() + graceMs;
  while (latencies.length < sent && performance.now() < deadline) await pause(20);
  measuring = false;
  await producer.close();
  await worker.stop();
  return { tasks: latencies.length, seconds: took, latencies, sent, peakRssMb: peakRssMb(), ...cost };
}

async function sendSteadily(
  enqueue: (payload: ReturnType<typeof makePayload>) => Promise<unknown>,
  tasks: number,
  perSecond: number,
): Promise<void> {
  const start = performance.now();
  const pending: Promise<unknown>[] = [];
  for (let index = 0; index < tasks; index++) {
    const due = start + (index * 1000) / perSecond;
    const wait = due - performance.now();
    if (wait > 0) await pause(wait);
    pending.push(enqueue(makePayload(performance.now())));
  }
  await Promise.all(pending);
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
