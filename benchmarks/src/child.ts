// One step of one subject, in a process of its own: nothing another subject loaded, compiled or left open is here.
import { families, loadSubject } from './families/index.ts';
import type { Answer, Job, Measurement } from './measurement.ts';
import { makePayload } from './payload.ts';
import { ProcessorTime } from './processor-time.ts';
import type { Probe, Subject } from './subject.ts';
import { measureBacklog } from './workloads/backlog.ts';
import { measureClaims } from './workloads/claim.ts';
import { measureDelays } from './workloads/delays.ts';
import { bulk, concurrent, measureEnqueue, sequential } from './workloads/enqueue.ts';
import { measureLatency } from './workloads/latency.ts';

const fillSize = 1000;
const loads = { sequential, concurrent, bulk };
const nothing: Measurement = { tasks: 0, seconds: 0 };

process.once('message', (job: Job) => {
  perform(job).then((measured) => answer({ measured }), fail);
});
// A peer that throws where nobody can catch it has failed; the others go on.
process.once('uncaughtException', fail);
process.once('unhandledRejection', fail);
// Nobody waits for the answer any more.
process.once('disconnect', () => process.exit(1));

function answer(message: Answer): void {
  process.send?.(message, () => process.exit('failed' in message ? 1 : 0));
}

function fail(error: unknown): void {
  console.error(error);
  answer({ failed: error instanceof Error ? error.message : String(error) });
}

async function perform({ backend, url, subject: name, step, serverPid }: Job): Promise<Measurement> {
  const subject = await loadSubject(families[backend], name);
  const processorTime = new ProcessorTime(serverPid);
  switch (step.type) {
    case 'install':
      await subject.install(url);
      return nothing;
    case 'fill':
      await fill(subject, url, step.tasks);
      return nothing;
    case 'backlog':
      return withProbe(subject, url, async (probe) => {
        const before = await probe.kept?.();
        const measured = await measureBacklog(subject, url, probe, step, processorTime);
        if (step.left === 0) await verifyDone(subject, probe, step.tasks, before ?? 0);
        return measured;
      });
    case 'latency':
      return measureLatency(subject, url, step, processorTime);
    case 'claim':
      return measureClaims(subject, url, step, processorTime);
    case 'delays':
      return measureDelays(subject, url, step, processorTime);
    default:
      return withProbe(subject, url, async (probe) => {
        const before = await probe.left();
        const measured = await measureEnqueue(subject, url, loads[step.type], step.seconds, processorTime);
        const found = (await probe.left()) - before;
        if (found !== measured.stored) throw new Error(`${name}: ${measured.stored} enqueued, ${found} in the store`);
        return measured;
      });
  }
}

async function withProbe<T>(subject: Subject, url: string, use: (probe: Probe) => Promise<T>): Promise<T> {
  const probe = await subject.probe(url);
  try {
    return await use(probe);
  } finally {
    await probe.close();
  }
}

async function fill(subject: Subject, url: string, tasks: number): Promise<void> {
  const producer = await subject.producer(url, 'fast');
  for (let sent = 0; sent < tasks; sent += fillSize) {
    const size = Math.min(fillSize, tasks - sent);
    await producer.enqueueMany(Array.from({ length: size }, (_, index) => makePayload(sent + index)));
  }
  await producer.close();
}

/** Nothing waits or runs, and a subject that keeps what it finished has exactly as much more as there were tasks. */
async function verifyDone(subject: Subject, probe: Probe, tasks: number, before: number): Promise<void> {
  const left = await probe.left();
  if (left !== 0) throw new Error(`${subject.name}: ${left} tasks left`);
  if (probe.kept === undefined) return;
  const kept = (await probe.kept()) - before;
  const expected = Math.min(tasks, probe.keptAtMost ?? tasks);
  if (kept !== expected) throw new Error(`${subject.name}: ${kept} finished tasks kept of ${expected}`);
}
