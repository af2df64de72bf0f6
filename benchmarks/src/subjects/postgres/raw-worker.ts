import pg from 'pg';
import type { Payload } from '../../payload.ts';
import type { Handler, RunningWorker } from '../../subject.ts';
import { keepRunning, pause, runAll } from '../runners.ts';
import { claim } from './raw-schema.ts';

interface Claimed {
  readonly id: string;
  readonly payload: string;
}

const queue = 'bench';
const idleMs = 5;
const listeningIdleMs = 2000;

/** Claims one task, runs it, settles it, on each of `concurrency` loops: a statement for every step. */
export function singleWorker(url: string, concurrency: number, settle: string, handler: Handler): RunningWorker {
  const pool = new pg.Pool({ connectionString: url, max: Math.min(concurrency, 20) });
  const loop = async (running: () => boolean): Promise<void> => {
    while (running()) {
      if (!(await runOne(pool, settle, handler))) await pause(idleMs);
    }
  };
  return keepRunning(concurrency, loop, () => pool.end());
}

/** The same with one loop asleep until it is notified: what a waiting worker needs, no more. */
export async function listeningWorker(url: string, settle: string, handler: Handler): Promise<RunningWorker> {
  const pool = new pg.Pool({ connectionString: url });
  const listener = new pg.Client(url);
  await listener.connect();
  let wake: () => void = () => {};
  let notified = false;
  listener.on('notification', () => {
    notified = true;
    wake();
  });
  await listener.query('listen tasks');
  const loop = async (running: () => boolean): Promise<void> => {
    while (running()) {
      notified = false;
      if (await runOne(pool, settle, handler)) continue;
      // A notification that came while the claim was under way.
      if (notified) continue;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, listeningIdleMs);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    await listener.end();
  };
  const worker = keepRunning(1, loop, () => pool.end());
  return {
    stop: () => {
      const stopped = worker.stop();
      wake();
      return stopped;
    },
  };
}

/** Claims `batch` tasks ahead while the ones before run, and settles what piled up meanwhile in one statement. */
export function batchWorker(
  url: string,
  concurrency: number,
  settle: string,
  batch: number,
  handler: Handler,
): RunningWorker {
  const pool = new pg.Pool({ connectionString: url, max: 3 });
  const loop = async (running: () => boolean): Promise<void> => {
    let settling: Promise<unknown> = Promise.resolve();
    let next = claimSome(pool, batch);
    while (running()) {
      const tasks = await next;
      next = claimSome(pool, batch);
      if (tasks.length === 0) {
        await pause(idleMs);
        continue;
      }
      await runAll(tasks, concurrency, (task) => runTask(task, handler));
      await settling;
      settling = settleAll(pool, settle, tasks);
    }
    await Promise.all([next, settling]);
  };
  return keepRunning(1, loop, () => pool.end());
}

/** False when there was nothing to do. */
async function runOne(pool: pg.Pool, settle: string, handler: Handler): Promise<boolean> {
  const tasks = await claimSome(pool, 1);
  const [task] = tasks;
  if (task === undefined) return false;
  await runTask(task, handler);
  await settleAll(pool, settle, tasks);
  return true;
}

const runTask = (task: Claimed, handler: Handler): Promise<void> => handler(JSON.parse(task.payload) as Payload);

async function claimSome(pool: pg.Pool, limit: number): Promise<readonly Claimed[]> {
  const values = [queue, limit, 'bench-worker'];
  return (await pool.query<Claimed>({ name: 'claim', text: claim, values })).rows;
}

function settleAll(pool: pg.Pool, text: string, tasks: readonly Claimed[]): Promise<unknown> {
  return pool.query({ name: 'settle', text, values: [tasks.map((task) => task.id)] });
}
