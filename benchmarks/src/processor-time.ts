import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

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

/** Measures processor time of this process, of the server, and of everybody else. */
export class ProcessorTime {
  readonly #server: number | undefined;

  /** @param server the server's main process, when it runs on this machine */
  constructor(server: number | undefined) {
    this.#server = server;
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
    return { client, server: this.#serverTime(), machine: readMachine(), at: performance.now() / 1000 };
  }

  /** The main process, its living children, and those it has buried. */
  #serverTime(): number | undefined {
    if (this.#server === undefined) return undefined;
    const own = readStat(this.#server);
    if (own === undefined) return undefined;
    const children = readText(`/proc/${this.#server}/task/${this.#server}/children`) ?? '';
    const living = children.trim().split(' ').filter(Boolean);
    const ticks = living.reduce((sum, pid) => sum + (readStat(Number(pid))?.ticks ?? 0), own.ticks + own.buriedTicks);
    return ticks / ticksPerSecond;
  }
}

/** The parent of a process, where /proc tells. */
export const parentOf = (pid: number): number | undefined => readStat(pid)?.parent;

/** The process that listens on a TCP port of this machine, where /proc tells. */
export function listenerOn(port: number): number | undefined {
  const inode = ['/proc/net/tcp', '/proc/net/tcp6'].flatMap((file) => listeningInodes(file, port))[0];
  if (inode === undefined) return undefined;
  const pids = readNames('/proc').filter((name) => /^\d+$/.test(name));
  const holder = pids.find((pid) =>
    readNames(`/proc/${pid}/fd`).some((fd) => readTarget(`/proc/${pid}/fd/${fd}`) === `socket:[${inode}]`),
  );
  return holder === undefined ? undefined : Number(holder);
}

/** Lines are "sl local_address rem_address st … inode": address and port in hexadecimal, 0A is LISTEN. */
function listeningInodes(file: string, port: number): readonly string[] {
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return (readText(file) ?? '')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([, local = '', , state]) => local.endsWith(wanted) && state === '0A')
    .flatMap((fields) => fields[9] ?? []);
}

function readNames(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function readTarget(link: string): string | undefined {
  try {
    return readlinkSync(link);
  } catch {
    return undefined;
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
