// One step of one subject, in a process of its own: nothing another subject loaded, compiled or left open is here.
import { ask } from './database.ts';
import type { Job, Measurement } from './measurement.ts';
import { makePayload } from './payload.ts';
import { ProcessorTime } from './processor-time.ts';
import type { Subject } from './subject.ts';
import { loadSubject } from './subjects/index.ts';
import { measureBacklog } from './workloads/backlog.ts';
import { bulk, concurrent, measureEnqueue, sequential } from './workloads/enqueue.ts';
import { measureLatency } from './workloads/latency.ts';

const fillSize = 1000;
const loads = { sequential, concurrent, bulk };

process.once('message', (job: Job) => {
  perform(job).then(
    (result) => process.send?.(result ?? {}, () => process.exit(0)),
    (error: unknown) => {
      console.error(error);
      process.exit(1);
    },
  );
});

async function perform({ url, subject: name, step }: Job): Promise<Measurement | undefined> {
  const subject = await loadSubject(name);
  switch (step.type) {
    case 'install':
      await subject.install(url);
      return undefined;
    case 'fill':
      await fill(subject, url, step.tasks);
      return undefined;
    case 'backlog': {
      const before = await keptBy(subject, url);
      const measured = await measureBacklog(subject, url, step, await ProcessorTime.of(url));
      if (step.left === 0) await verifyDone(subject, url, step.tasks, before);
      return measured;
    }
    case 'latency':
      return measureLatency(subject, url, step, await ProcessorTime.of(url));
    default: {
      const before = await ask<number>(url, subject.checks.left);
      const measured = await measureEnqueue(subject, url, loads[step.type], step.seconds, await ProcessorTime.of(url));
      const found = (await ask<number>(url, subject.checks.left)) - before;
      if (found !== measured.stored) throw new Error(`${name}: ${measured.stored} enqueued, ${found} in the store`);
      return measured;
    }
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
async function verifyDone(subject: Subject, url: string, tasks: number, before: number): Promise<void> {
  const left = await ask<number>(url, subject.checks.left);
  if (left !== 0) throw new Error(`${subject.name}: ${left} tasks left`);
  if (subject.checks.kept === undefined) return;
  const kept = (await keptBy(subject, url)) - before;
  if (kept !== tasks) throw new Error(`${subject.name}: ${kept} finished tasks kept of ${tasks}`);
}

async function keptBy(subject: Subject, url: string): Promise<number> {
  return subject.checks.kept === undefined ? 0 : ask<number>(url, subject.checks.kept);
}
