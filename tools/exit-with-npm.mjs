// `kill -9` on npm leaves its child running: nobody sees it, but it holds the embedded database. So the child watches.
import { readFileSync, readlinkSync } from 'node:fs';
import path from 'node:path';

const POLL_MS = 250;
const SHELLS = new Set(['sh', 'dash', 'bash', 'ash', 'busybox', 'zsh', 'ksh']);

/**
 * Ends this process when the npm (or pnpm) that started it is gone. Does nothing when started by hand: a user who
 * closes the shell under `nohup node …` wants it to go on. A closed stdin is not taken as a sign: CI closes it too.
 *
 * @param {() => void} onGone what to do then; by default the hardest exit, which is what the user asked npm to make
 */
export function exitWithNpm(onGone = () => process.kill(process.pid, 'SIGKILL')) {
  if (process.env.npm_lifecycle_event === undefined) return;
  const family = currentFamily();
  const timer = setInterval(() => {
    if (currentFamily() === family) return;
    clearInterval(timer);
    onGone();
  }, POLL_MS);
  timer.unref();
}

/**
 * npm starts scripts through `sh -c`. Most shells replace themselves with node; one that stays between the two is
 * given a new parent when npm dies, so the shell's parent counts as well. npm's own parent must not: under
 * `nohup npm start` it changes when the terminal closes.
 */
function currentFamily() {
  return isShell(process.ppid) ? `${process.ppid}<${parentOf(process.ppid)}` : `${process.ppid}`;
}

// Both read /proc, so Linux only: the shells of macOS and the BSDs replace themselves with node.

function isShell(pid) {
  try {
    return SHELLS.has(path.basename(readlinkSync(`/proc/${pid}/exe`)));
  } catch {
    return false;
  }
}

function parentOf(pid) {
  try {
    return /^PPid:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  } catch {
    return undefined;
  }
}
