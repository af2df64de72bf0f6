import type { Measurement } from '../measurement.ts';
import type { ProcessorTime } from '../processor-time.ts';
import type { Subject } from '../subject.ts';
import { peakRssMb } from './enqueue.ts';

const warmUpCalls = 20;

/** How long a claim takes while the rest of the queue waits behind it. */
export async function measureClaims(
  subject: Subject,
  url: string,
  { calls, limit }: { calls: number; limit: number },
  processorTime: ProcessorTime,
): Promise<Measurement> {
  if (subject.claimer === undefined) throw new Error(`${subject.name} cannot claim by hand`);
  const claimer = await subject.claimer(url);
  const claimOnce = async (): Promise<number> => {
    const start = performance.now();
    const got = await claimer.claim(limit);
    if (got !== limit) throw new Error(`${subject.name}: a claim of ${limit} gave ${got}`);
    return performance.now() - start;
  };
  for (let call = 0; call < warmUpCalls; call++) await claimOnce();
  const claims: number[] = [];
  const spent = processorTime.start();
  const start = performance.now();
  for (let call = 0; call < calls; call++) claims.push(await claimOnce());
  const seconds = (performance.now() - start) / 1000;
  const cost = spent();
  await claimer.close();
  return { tasks: calls * limit, seconds, claims, peakRssMb: peakRssMb(), ...cost };
}

/** Tasks that must wait for a run to find every claim full. */
export const tasksClaimed = (calls: number, limit: number): number => (calls + warmUpCalls) * limit;
