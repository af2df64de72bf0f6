// Starts processes that cannot outlive the test run: each is registered with the watchdog the moment it exists.
import { spawn } from 'node:child_process';
import { chownSync, closeSync, mkdtempSync, openSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const WATCHDOG = fileURLToPath(new URL('watchdog.mjs', import.meta.url));

/** @typedef {{ uid: number, gid: number }} Account */

/** Owns everything a run starts. `stop()` undoes it all; so does the end of this process, however it comes. */
export function createKeeper() {
  const watchdog = spawn(process.execPath, [WATCHDOG], {
    detached: true,
    stdio: ['pipe', 'ignore', 'inherit'],
  });
  const gone = new Promise((resolve) => watchdog.on('close', resolve));
  // The watchdog must not keep a finished run alive; only stop() waits for it.
  watchdog.unref();
  watchdog.stdin.unref?.();
  let lastId = 0;
  const register = (entry) => {
    const id = ++lastId;
    watchdog.stdin.write(`${JSON.stringify({ id, ...entry })}\n`);
    return () => watchdog.stdin.write(`${JSON.stringify({ forget: id })}\n`);
  };

  return {
    /** A folder that goes when the run goes, owned by `account` if given. */
    temporaryFolder(name, account, place = tmpdir()) {
      const folder = mkdtempSync(path.join(place, `millrace-${name}-`));
      if (account) chownSync(folder, account.uid, account.gid);
      register({ directory: folder });
      return folder;
    },
    /** Spawns in a process group of its own: Ctrl-C reaches only us, and one signal ends the child and its children. */
    spawn(command, args, { signal = 'SIGTERM', ...options } = {}) {
      const child = spawn(command, args, { detached: true, ...options });
      if (child.pid !== undefined) child.on('exit', register({ pid: child.pid, signal }));
      return child;
    },
    /** A command to run at the end, for what is not a child process (a container). */
    atEnd(command) {
      register({ command });
    },
    async stop() {
      watchdog.ref();
      watchdog.stdin.end();
      await gone;
    },
  };
}

/**
 * Starts a server that logs to a file and waits until `ready` shows in the log.
 *
 * @throws with the last lines of the log when the server ends or stays silent for `timeoutMs`
 */
export async function startServer(keeper, { command, args, folder, ready, signal, account, env, timeoutMs = 60_000 }) {
  const logFile = path.join(folder, 'server.log');
  const log = openSync(logFile, 'w');
  const child = keeper.spawn(command, args, {
    signal,
    cwd: folder,
    stdio: ['ignore', log, log],
    env: { ...process.env, LC_ALL: 'C', HOME: folder, ...env },
    ...account,
  });
  closeSync(log);
  let ended;
  child.on('error', (error) => (ended = error.message));
  child.on('exit', (code, name) => (ended = `exit ${code ?? name}`));
  for (const deadline = Date.now() + timeoutMs; ; await delay(25)) {
    const text = readFileSync(logFile, 'utf8');
    if (ready.test(text)) return;
    if (ended !== undefined || Date.now() > deadline) {
      const tail = text.trim().split('\n').slice(-15).join('\n');
      throw new Error(`${path.basename(command)} did not start (${ended ?? 'no answer'}):\n${tail}`);
    }
  }
}

/** Below those from which systems take ports for outgoing connections: none is taken by chance before a server has it. */
const PORTS = { first: 15_000, size: 5_000 };

/** A port nobody listens on now. Another process may take it before we do: callers try again with the next. */
export function freePort() {
  const port = PORTS.first + Math.floor(Math.random() * PORTS.size);
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', (error) =>
      error.code === 'EADDRINUSE' ? resolve(freePort()) : reject(error),
    );
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(port)));
  });
}

/** Runs a command to its end and returns what it printed; throws with it when the command failed. */
export function run(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
    let output = '';
    child.stdout.on('data', (chunk) => (output += chunk));
    child.stderr.on('data', (chunk) => (output += chunk));
    child.on('error', reject);
    child.on('close', (code) =>
      code === 0 ? resolve(output) : reject(new Error(`${command} ${args[0]} failed:\n${output.trim()}`)),
    );
  });
}

/** Servers refuse to run as root: then whom to run them as. Undefined when we are somebody ordinary already. */
export function serverAccount() {
  if (process.getuid?.() !== 0) return undefined;
  const accounts = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
  const found = accounts.find(([name]) => name === 'postgres') ?? accounts.find(([name]) => name === 'nobody');
  if (!found) throw new Error('running as root, and there is neither a `postgres` nor a `nobody` account');
  return { uid: Number(found[2]), gid: Number(found[3]) };
}
