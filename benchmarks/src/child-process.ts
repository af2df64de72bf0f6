import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Answer, Job, Measurement } from './measurement.ts';

const child = fileURLToPath(new URL('./child.js', import.meta.url));
// graphile-worker logs every task unless this is set when it is loaded.
const env = { ...process.env, NO_LOG_SUCCESS: '1' };

/** Runs one step in a process of its own. @throws with the reason when it fails, or does not end within the limit */
export async function runJob(job: Job, limitMs: number, execArgv: readonly string[] = []): Promise<Measurement> {
  const started = fork(child, { execArgv: [...execArgv], env, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  started.send(job);
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    started.kill('SIGKILL');
  }, limitMs);
  try {
    const { answer, ending } = await answerOf(started);
    if (late) throw new Error(`${job.step.type}: no end within ${limitMs / 1000} s`);
    if (answer === undefined) throw new Error(`${job.step.type}: the process ended with ${ending}`);
    if ('failed' in answer) throw new Error(`${job.step.type}: ${answer.failed}`);
    return answer.measured;
  } finally {
    clearTimeout(timer);
  }
}

async function answerOf(started: ChildProcess): Promise<{ answer: Answer | undefined; ending: string | number }> {
  let answer: Answer | undefined;
  started.on('message', (message) => {
    answer ??= message as Answer;
  });
  const [code, signal] = (await once(started, 'exit')) as [number | null, string | null];
  return { answer, ending: signal ?? code ?? 'nothing' };
}
