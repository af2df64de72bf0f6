import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Job, Measurement } from './measurement.ts';

const child = fileURLToPath(new URL('./child.js', import.meta.url));
const timeoutMs = 180_000;
// graphile-worker logs every task unless this is set when it is loaded.
const env = { ...process.env, NO_LOG_SUCCESS: '1' };

/** Runs one step in a process of its own. @throws when it fails or takes too long; it has printed why */
export async function runJob(job: Job, execArgv: readonly string[]): Promise<Measurement> {
  const started = fork(child, { execArgv: [...execArgv], env, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  started.send(job);
  const timer = setTimeout(() => started.kill('SIGKILL'), timeoutMs);
  try {
    return await answerOf(started, `${job.subject}, ${job.step.type}`);
  } finally {
    clearTimeout(timer);
  }
}

async function answerOf(started: ChildProcess, what: string): Promise<Measurement> {
  let answer: Measurement | undefined;
  started.on('message', (message) => {
    answer = message as Measurement;
  });
  const [code, signal] = (await once(started, 'exit')) as [number | null, string | null];
  if (code !== 0 || answer === undefined) throw new Error(`${what}: the process ended with ${signal ?? code}`);
  return answer;
}
