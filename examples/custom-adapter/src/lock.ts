import fs from 'node:fs';

const startedAt = Math.round(Date.now() / 1_000 - process.uptime());

/** Takes a lock that does not outlive its process: a file that names its owner. Returns what gives it back. */
export function takeLock(path: string): () => void {
  // One process at a time gets past this line. Renaming the file lets the next one in as it makes the lock ours.
  fs.writeFileSync(`${path}.next`, `${process.pid} ${startedAt}`, { flag: 'wx' });
  if (!isAlive(path)) fs.renameSync(`${path}.next`, path);
  else {
    fs.rmSync(`${path}.next`);
    throw new Error(`another process has it open; if there is none, delete ${path}`);
  }
  return () => fs.rmSync(path, { force: true });
}

function isAlive(path: string): boolean {
  try {
    const [pid = 0, started = 0] = fs.readFileSync(path, 'utf8').split(' ').map(Number);
    // A container that was killed and started again counts its processes from the same number.
    return pid === process.pid ? Math.abs(started - startedAt) < 2 : process.kill(pid, 0);
  } catch (error) {
    return !['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '');
  }
}
