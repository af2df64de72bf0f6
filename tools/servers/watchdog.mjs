// Stops what a test run started, whatever happened to the run: it is a separate process, in a session of its own, that
// waits for the end of its stdin. The pipe closes when the run says so, and also when the run was killed or crashed.
//
// Each input line is JSON: { id, pid, signal } a process group to end, { id, command } a command to run,
// { id, directory } a folder to remove, or { forget: id }. At the end: groups first, all at once, then commands, then folders.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';

const GRACE_MS = 5_000;
const entries = new Map();

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => {});

for await (const line of createInterface({ input: process.stdin })) {
  const message = JSON.parse(line);
  if (message.forget !== undefined) entries.delete(message.forget);
  else entries.set(message.id, message);
}
const toUndo = [...entries.values()].reverse();
await Promise.all(toUndo.filter(({ pid }) => pid !== undefined).map(({ pid, signal }) => endGroup(pid, signal)));
for (const { command } of toUndo) {
  if (command !== undefined) spawnSync(command[0], command.slice(1), { stdio: 'ignore' });
}
for (const { directory } of toUndo) {
  if (directory !== undefined) rmSync(directory, { recursive: true, force: true, maxRetries: 10 });
}

async function endGroup(group, signal) {
  send(group, signal);
  for (const deadline = Date.now() + GRACE_MS; isRunning(group); await delay(20)) {
    if (Date.now() > deadline) return send(group, 'SIGKILL');
  }
}

/** False when the group has no process any more. */
function send(group, signal) {
  try {
    return process.kill(-group, signal);
  } catch {
    return false;
  }
}

/** The dead that nobody has buried count as members of their group: in containers, process 1 often leaves them. */
function isRunning(group) {
  if (!send(group, 0)) return false;
  if (!existsSync('/proc/self/stat')) return true;
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .some((pid) => {
      const [state, , processGroup] = statOf(pid);
      return processGroup === String(group) && state !== 'Z';
    });
}

/** State, parent, group, … of a process: what follows "pid (command) ", a command that may hold parentheses. */
function statOf(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return [];
  }
}
