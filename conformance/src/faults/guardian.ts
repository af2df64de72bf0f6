import { spawn } from 'node:child_process';

/** Watches over a process that must not outlive this one. */
export interface Guardian {
  /** The process is gone already. */
  dismiss(): void;
}

// Waits for the end of its input, which comes with the end of this process, however it ends: SIGKILL included.
const script = `
cat > /dev/null
tree() {
  echo "$1"
  for child in $(ps -A -o pid=,ppid= 2> /dev/null | while read -r pid parent; do
    if [ "$parent" = "$1" ]; then echo "$pid"; fi
  done); do tree "$child"; done
}
for pid in $(tree "$1"); do kill -KILL "$pid"; done
kill -KILL -- "-$1"
if [ -n "$2" ]; then sleep 1; rm -rf -- "$2"; fi
`;

/** Kills the process, its descendants and its group when this process ends, and removes the folder if one is given. */
export function guardProcess(pid: number, folder = ''): Guardian {
  const guardian = spawn('sh', ['-c', script, 'millrace-guardian', String(pid), folder], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  // Without a shell there is no guardian; nothing else depends on it.
  guardian.on('error', () => {});
  guardian.unref();
  // A pipe of a child is a socket, which can be told not to keep this process alive.
  (guardian.stdin as { unref?(): void } | null)?.unref?.();
  return { dismiss: () => void guardian.kill('SIGKILL') };
}
