import { readFileSync } from 'node:fs';
import { ask } from './database.ts';

/** Linux counts in ticks of 10 ms everywhere it matters. */
const ticksPerSecond = 100;

/** Readings of every processor clock at one moment, seconds. */
interface Reading {
  readonly client: number;
  readonly server: number | undefined;
  readonly machine: number | undefined;
  readonly at: number;
}

/** Processor time spent between two moments. */
export interface Spent {
  readonly clientCpu: number;
  readonly serverCpu?: number;
  readonly foreignLoad?: number;
}

/** Measures processor time of this process, of the database server, and of everybody else. */
export class ProcessorTime {
  readonly #postmaster: number | undefined;

  private constructor(postmaster: number | undefined) {
    this.#postmaster = postmaster;
  }

  /** Finds the server's main process when it runs on this machine and /proc exists. */
  static async of(url: string): Promise<ProcessorTime> {
    // Any child of the server's main process will do that is there as long as the server is.
    const checkpointer = await ask<number>(
      url,
      "select pid as answer from pg_stat_activity where backend_type = 'checkpointer'",
    );
    return new ProcessorTime(readStat(checkpointer)?.parent);
  }

  start(): () => Spent {
    const before = this.#read();
    return () => {
      const after = this.#read();
      const clientCpu = after.client - before.client;
      if (before.server === undefined || after.server === undefined) return { clientCpu };
      const serverCpu = after.server - before.server;
      if (before.machine === undefined || after.machine === undefined) return { clientCpu, serverCpu };
      const foreign = after.machine - before.machine - clientCpu - serverCpu;
      return { clientCpu, serverCpu, foreignLoad: Math.max(0, foreign / (after.at - before.at)) };
    };
  }

  #read(): Reading {
    const { user, system } = process.cpuUsage();
    const client = (user + system) / 1e6;
    return { client, server: this.#server(), machine: readMachine(), at: performance.now() / 1000 };
  }

  /** The postmaster, its living children, and those it has buried. */
  #server(): number | undefined {
    if (this.#postmaster === undefined) return undefined;
    const own = readStat(this.#postmaster);
    if (own === undefined) return undefined;
    const children = readText(`/proc/${this.#postmaster}/task/${this.#postmaster}/children`) ?? '';
    const living = children.trim().split(' ').filter(Boolean);
    const ticks = living.reduce((sum, pid) => sum + (readStat(Number(pid))?.ticks ?? 0), own.ticks + own.buriedTicks);
    return ticks / ticksPerSecond;
  }
}

function readStat(pid: number): { parent: number; ticks: number; buriedTicks: number } | undefined {
  const text = readText(`/proc/${pid}/stat`);
  if (text === undefined) return undefined;
  // "pid (command) state ppid …": the command may hold spaces. Fields 14 to 17 are utime, stime, cutime, cstime.
  const fields = text
    .slice(text.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number);
  const [utime = 0, stime = 0, cutime = 0, cstime = 0] = fields.slice(11, 15);
  return { parent: fields[1] ?? 0, ticks: utime + stime, buriedTicks: cutime + cstime };
}

/** Busy time of all processors together, seconds: user, nice, system, irq, softirq, steal. */
export function readMachine(): number | undefined {
  const line = readText('/proc/stat')?.split('\n')[0];
  if (line === undefined) return undefined;
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = line
    .trim()
    .split(/\s+/)
    .slice(1)
    .map(Number);
  return (user + nice + system + irq + softirq + steal) / ticksPerSecond;
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
