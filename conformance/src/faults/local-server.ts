import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { chownSync, closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { findSteadyPort } from './free-port.ts';
import { type Guardian, guardProcess } from './guardian.ts';
import { freezeTree, killTree, sendSignal, thawTree } from './process-tree.ts';
import type { Server } from './server.ts';
import { type Account, resolveAccount } from './server-account.ts';

/** Where a private server lives. */
export interface ServerPlace {
  /** Empty before `prepare`, kept over restarts, removed by `close`. */
  readonly dir: string;
  readonly port: number;
}

/** How a private server is run. */
export interface LocalServerOptions {
  /** In the name of its folder and in errors. Default: the command's name. */
  readonly name?: string;
  /** A command that fills the folder, once: `initdb`. */
  readonly prepare?: (place: ServerPlace) => readonly string[];
  /** The command that runs the server in the foreground. */
  readonly start: (place: ServerPlace) => readonly string[];
  /** When it is ready: it accepts connections, it has logged this since it was started, or this resolves to true. */
  readonly ready: 'tcp' | RegExp | ((place: ServerPlace) => Promise<boolean>);
  /** Whom it runs as, for a suite that runs as root. Default: `postgres`, else `nobody`. Ignored for others than root. */
  readonly user?: string | Account;
  readonly environment?: Readonly<Record<string, string>>;
  /** What ends it gracefully. Default SIGTERM. */
  readonly stopSignal?: NodeJS.Signals;
  /** How long a start or a graceful stop may take. Default 60,000. */
  readonly limitMs?: number;
}

/** A server process of one's own. */
export interface LocalServer extends Server, AsyncDisposable {
  readonly place: ServerPlace;
  /** The process, while it runs. */
  readonly pid: number | undefined;
  restart(how: 'graceful' | 'kill'): Promise<void>;
  /** Kills it and removes its folder. Safe to repeat. */
  close(): Promise<void>;
}

const pollMs = 25;
const shownLogBytes = 65_536;

/**
 * Starts a throw-away server on a free port and an empty folder. It is gone with `close`, and also when this process
 * ends in whatever way.
 * @throws Error with the end of its log when it does not start
 */
export async function localServer(options: LocalServerOptions): Promise<LocalServer> {
  const account = resolveAccount(options.user);
  const root = mkdtempSync(path.join(tmpdir(), 'millrace-server-'));
  const place = { dir: path.join(root, 'data'), port: await findSteadyPort() };
  mkdirSync(place.dir, { mode: 0o700 });
  if (account !== undefined) for (const folder of [root, place.dir]) chownSync(folder, account.uid, account.gid);
  const server = new LocalProcess(options, place, path.join(root, 'server.log'), account);
  try {
    const [command, ...args] = options.prepare?.(place) ?? [];
    if (command !== undefined)
      await promisify(execFile)(command, args, { cwd: root, env: server.environment, ...account });
    await server.start();
  } catch (error) {
    await server.close();
    throw error;
  }
  return server;
}

class LocalProcess implements LocalServer {
  readonly place: ServerPlace;
  readonly environment: NodeJS.ProcessEnv;
  readonly #options: LocalServerOptions;
  readonly #logFile: string;
  readonly #account: Account | undefined;
  #child: ChildProcess | undefined;
  #guardian: Guardian | undefined;
  /** How the process ended, once it has. */
  #ended: string | undefined;

  constructor(options: LocalServerOptions, place: ServerPlace, logFile: string, account: Account | undefined) {
    this.#options = options;
    this.place = place;
    this.#logFile = logFile;
    this.#account = account;
    // Readiness is often told from the log, which must not depend on the machine's language.
    this.environment = { ...process.env, LC_ALL: 'C', HOME: path.dirname(place.dir), ...options.environment };
  }

  get endpoints(): Server['endpoints'] {
    return [{ role: 'server', host: '127.0.0.1', port: this.place.port }];
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  async start(): Promise<void> {
    if (this.#child !== undefined) return;
    const [command, ...args] = this.#options.start(this.place);
    if (command === undefined) throw new Error('localServer: start gave no command');
    const logged = this.#readLog().length;
    const log = openSync(this.#logFile, 'a');
    const child = spawn(command, args, {
      cwd: path.dirname(this.place.dir),
      // A group of its own: Ctrl-C in a terminal must not end it before those who use it.
      detached: true,
      stdio: ['ignore', log, log],
      env: this.environment,
      ...this.#account,
    });
    closeSync(log);
    this.#ended = undefined;
    this.#child = child;
    child.on('error', (error) => this.#leave(error.message));
    child.on('exit', (code, signal) => this.#leave(`exit ${code ?? signal}`));
    if (child.pid !== undefined) this.#guardian = guardProcess(child.pid, path.dirname(this.place.dir));
    await this.#until(() => this.#isReady(logged), 'start');
  }

  async stop(how: 'graceful' | 'kill'): Promise<void> {
    const pid = this.#child?.pid;
    if (pid === undefined) return;
    if (how === 'kill') {
      await killTree(pid);
    } else {
      await thawTree(pid);
      sendSignal(pid, this.#options.stopSignal ?? 'SIGTERM');
    }
    await this.#until(async () => this.#child === undefined, 'stop');
  }

  async restart(how: 'graceful' | 'kill'): Promise<void> {
    await this.stop(how);
    await this.start();
  }

  async freeze(): Promise<void> {
    if (this.#child?.pid !== undefined) await freezeTree(this.#child.pid);
  }

  async thaw(): Promise<void> {
    if (this.#child?.pid !== undefined) await thawTree(this.#child.pid);
  }

  async logs(): Promise<string> {
    return this.#readLog().slice(-shownLogBytes);
  }

  async close(): Promise<void> {
    await this.stop('kill');
    rmSync(path.dirname(this.place.dir), { recursive: true, force: true, maxRetries: 10 });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #leave(how: string): void {
    this.#ended = how;
    this.#child = undefined;
    this.#guardian?.dismiss();
  }

  async #isReady(logged: number): Promise<boolean> {
    const { ready } = this.#options;
    if (typeof ready === 'function') return ready(this.place);
    return ready === 'tcp' ? accepts(this.place.port) : ready.test(this.#readLog().slice(logged));
  }

  async #until(condition: () => Promise<boolean>, step: 'start' | 'stop'): Promise<void> {
    const { limitMs = 60_000 } = this.#options;
    const deadline = performance.now() + limitMs;
    while (!(await condition())) {
      const died = step === 'start' && this.#ended !== undefined;
      if (died || performance.now() > deadline) {
        const why = died ? this.#ended : `not within ${limitMs} ms`;
        const tail = this.#readLog().trim().split('\n').slice(-15).join('\n');
        throw new Error(
          `${this.#options.name ?? this.#options.start(this.place)[0]} did not ${step} (${why}):\n${tail}`,
        );
      }
      await new Promise((resolve) => setTimeout(resolve, pollMs));
    }
  }

  #readLog(): string {
    return existsSync(this.#logFile) ? readFileSync(this.#logFile, 'utf8') : '';
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' });
    socket.once('connect', () => resolve(true));
    socket.once('error', () => resolve(false));
    socket.once('close', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}
