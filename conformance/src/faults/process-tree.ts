import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { promisify } from 'node:util';

interface ProcessEntry {
  readonly pid: number;
  readonly parent: number;
  /** `T` stopped, `Z` dead and not yet collected by its parent. */
  readonly state: string;
}

const pollMs = 10;

/** A process and all its descendants, itself first. Servers put children in groups of their own, so groups do not do. */
export async function processTree(root: number): Promise<number[]> {
  const all = await listProcesses();
  const tree = [root];
  for (const pid of tree) for (const entry of all) if (entry.parent === pid) tree.push(entry.pid);
  return tree;
}

/** Kills a process and its descendants with SIGKILL. Resolves when none of them runs any more. */
export async function killTree(root: number): Promise<void> {
  const tree = await processTree(root);
  for (const pid of tree) sendSignal(pid, 'SIGKILL');
  await gone(tree);
}

/** Stops a process and its descendants as they are (SIGSTOP). Resolves when none of them moves any more. */
export async function freezeTree(root: number): Promise<void> {
  for (;;) {
    const tree = new Set(await processTree(root));
    for (const pid of tree) sendSignal(pid, 'SIGSTOP');
    // One of them may have started another before it stopped.
    const after = await listProcesses();
    const moving = after.filter(
      ({ pid, parent, state }) => (tree.has(pid) || tree.has(parent)) && !/[TtZX]/.test(state),
    );
    if (moving.length === 0) return;
    await pause(pollMs);
  }
}

/** Lets a process and its descendants go on (SIGCONT). */
export async function thawTree(root: number): Promise<void> {
  for (const pid of await processTree(root)) sendSignal(pid, 'SIGCONT');
}

/** Resolves when none of the processes runs; the dead whom nobody has collected do not count. */
export async function gone(pids: readonly number[]): Promise<void> {
  for (;;) {
    const all = await listProcesses();
    if (!all.some(({ pid, state }) => pids.includes(pid) && !/[ZX]/.test(state))) return;
    await pause(pollMs);
  }
}

/** False when there is no such process. */
export function sendSignal(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}

async function listProcesses(): Promise<ProcessEntry[]> {
  if (existsSync('/proc/self/stat')) return readdirSync('/proc').flatMap(readProcEntry);
  const { stdout } = await promisify(execFile)('ps', ['-A', '-o', 'pid=,ppid=,stat=']);
  return stdout
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .map(([pid, parent, state]) => ({ pid: Number(pid), parent: Number(parent), state: state ?? '' }));
}

function readProcEntry(name: string): ProcessEntry[] {
  if (!/^\d+$/.test(name)) return [];
  try {
    const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
    // The command's name, in parentheses, may hold anything.
    const [state = '', parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return [{ pid: Number(name), parent: Number(parent), state }];
  } catch {
    return [];
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
