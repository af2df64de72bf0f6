import type { Measurement } from '../measurement.ts';
import type { ProcessorTime } from '../processor-time.ts';
import type { Mode, Probe, Subject } from '../subject.ts';
import { peakRssMb } from './enqueue.ts';

const pollMs = 1;

/**
 * Works off `tasks` of a filled queue, from the creation of the worker to the moment the store says that it is done.
 * When `left` more stay behind, to keep the queue deep, or the store does not tell, the last handler is the end instead.
 */
export async function measureBacklog(
  subject: Subject,
  url: string,
  probe: Probe,
  { tasks, left, concurrency, mode }: { tasks: number; left: number; concurrency: number; mode: Mode },
  processorTime: ProcessorTime,
): Promise<Measurement> {
  let seen = 0;
  let firstAt = 0;
  let allSeen: () => void = () => {};
  const handled = new Promise<void>((resolve) => {
    allSeen = resolve;
  });
  const handler = async (): Promise<void> => {
    seen += 1;
    if (seen === 1) firstAt = performance.now();
    if (seen === tasks) allSeen();
  };

  const spent = processorTime.start();
  const start = performance.now();
  const worker = await subject.worker(url, mode, concurrency, handler);
  await handled;
  if (left === 0) {
    // Only now, so that asking costs the server nothing while it works.
    while (await probe.anyLeft?.()) await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
  const seconds = (performance.now() - start) / 1000;
  const cost = spent();
  await worker.stop();
  if (left === 0 && seen !== tasks) throw new Error(`${subject.name}: ${seen} runs of ${tasks} tasks`);
  return { tasks, seconds, firstHandlerMs: firstAt - start, peakRssMb: peakRssMb(), ...cost };
}
