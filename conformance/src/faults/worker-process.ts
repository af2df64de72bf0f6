import { type ChildProcess, fork } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { HistoryEvent } from '../history/event.ts';
import { faultEvents, type NotedFault } from '../history/fault-events.ts';
import { readJournals } from '../history/journal.ts';
import { bundledModule } from './bundled-module.ts';
import { findBeside } from './find-beside.ts';
import { guardProcess } from './guardian.ts';
import { freezeTree, sendSignal, thawTree } from './process-tree.ts';
import { type JournalEntry, readJournal } from './worker-journal.ts';
import type {
  ProduceCommand,
  WorkerCommand,
  WorkerCounts,
  WorkerProcessOptions,
  WorkerReply,
} from './worker-protocol.ts';

/** How a worker process is started. */
export interface WorkerProcessRequest {
  /** The harness's `workerModule`. TypeScript is run by tsx if it can be found, else by Node itself. */
  readonly module: URL;
  /** The harness's `bundleWorker`. Without esbuild, and for a heartbeat from a thread, the module runs as it is. */
  readonly bundle?: boolean;
  readonly url: string;
  readonly namespace: string;
  readonly options?: WorkerProcessOptions;
  /** Modules to run before anything else, such as `clockSkewPreload`. */
  readonly preload?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** Flags of Node, such as `--max-old-space-size=64`. */
  readonly flags?: readonly string[];
}

/** How a process ended. */
export interface ProcessEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A worker in a process of its own. */
export interface WorkerProcess extends AsyncDisposable {
  readonly pid: number;
  /** Resolves when it claims. Rejects when it ended before, with what it printed. */
  readonly ready: Promise<void>;
  readonly exited: Promise<ProcessEnd>;
  /** Default SIGKILL. */
  kill(signal?: NodeJS.Signals): void;
  /** Stops the process as it is; resolves when it no longer moves. */
  freeze(): Promise<void>;
  thaw(): Promise<void>;
  /** Asks it to stop, gracefully or not; resolves when the process has ended by itself. */
  stop(force?: boolean): Promise<ProcessEnd>;
  counts(): Promise<WorkerCounts>;
  /** Blocks its event loop from now on. */
  stall(ms: number): void;
  exhaustHeap(): void;
  jumpClock(ms: number): void;
  produce(command: Omit<ProduceCommand, 'type'>): void;
  /** Everything it noted so far, also after a SIGKILL. */
  journal(): JournalEntry[];
  /** What it asked of the broker, was answered and ran, and when it was frozen. Also after it was closed. */
  history(): readonly HistoryEvent[];
  /** The end of what it printed. */
  output(): string;
  /** Kills it and removes its journal. Safe to repeat. */
  close(): Promise<void>;
}

const keptOutput = 16_384;

/** How long a process may take to load everything and to claim, or to die: much longer than on a machine at rest. */
export const longestStartMs = 60_000;

/** Starts a worker process. It is gone with `close`, and also when this process ends in whatever way. */
export function startWorkerProcess(request: WorkerProcessRequest): WorkerProcess {
  const { url, namespace, options = {}, preload = [], environment, flags = [] } = request;
  // A thread resolves packages by itself, and may find TypeScript.
  const bundles = request.bundle === true && options.heartbeatThread === undefined;
  const module = (bundles ? bundledModule(request.module) : undefined) ?? request.module;
  const folder = mkdtempSync(path.join(tmpdir(), 'millrace-worker-'));
  const journal = path.join(folder, 'journal.ndjson');
  const history = path.join(folder, 'history.ndjson');
  const child = fork(fileURLToPath(module), [JSON.stringify({ url, namespace, journal, history, options })], {
    execArgv: [
      ...inheritedFlags(),
      ...flags,
      ...preload.map((file) => `--import=${file}`),
      ...typescriptFlags(module),
      ...(options.heartbeatThread === undefined ? [] : threadFlags(module)),
    ],
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  return new Forked(child, folder, { journal, history });
}

class Forked implements WorkerProcess {
  readonly pid: number;
  readonly ready: Promise<void>;
  readonly exited: Promise<ProcessEnd>;
  readonly #child: ChildProcess;
  readonly #folder: string;
  readonly #files: { readonly journal: string; readonly history: string };
  readonly #faults: NotedFault[] = [];
  #kept: { readonly journal: JournalEntry[]; readonly history: readonly HistoryEvent[] } | undefined;
  readonly #askedCounts: ((counts: WorkerCounts) => void)[] = [];
  #output = '';
  #ended = false;

  constructor(child: ChildProcess, folder: string, files: { readonly journal: string; readonly history: string }) {
    this.#child = child;
    this.#folder = folder;
    this.#files = files;
    this.pid = child.pid ?? -1;
    const guardian = guardProcess(this.pid);
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        this.#output = (this.#output + chunk).slice(-keptOutput);
      });
    }
    this.exited = new Promise((resolve) => {
      child.once('close', (code, signal) => {
        this.#ended = true;
        guardian.dismiss();
        resolve({ code, signal });
      });
    });
    this.ready = new Promise((resolve, reject) => {
      child.on('message', (message: WorkerReply) => {
        if (message.type === 'ready') resolve();
        if (message.type === 'failed') reject(new Error(`a worker process did not start: ${message.message}`));
        if (message.type === 'counts') this.#askedCounts.shift()?.(message.counts);
      });
      child.once('error', reject);
      void this.exited.then(() => reject(new Error(`a worker process ended before it was ready:\n${this.#output}`)));
    });
    // Whoever waits for it is told; a test that kills it earlier does not wait.
    this.ready.catch(() => {});
    // A message to a process that is just dying is lost; its end tells enough.
    child.on('error', () => {});
  }

  kill(signal: NodeJS.Signals = 'SIGKILL'): void {
    if (!this.#ended) sendSignal(this.pid, signal);
  }

  async freeze(): Promise<void> {
    this.#noteFault('freeze', 'start');
    if (!this.#ended) await freezeTree(this.pid);
  }

  async thaw(): Promise<void> {
    if (!this.#ended) await thawTree(this.pid);
    this.#noteFault('freeze', 'heal');
  }

  stop(force = false): Promise<ProcessEnd> {
    this.#tell({ type: 'stop', force });
    return this.exited;
  }

  counts(): Promise<WorkerCounts> {
    return new Promise((resolve, reject) => {
      this.#askedCounts.push(resolve);
      void this.exited.then(() => reject(new Error('the worker process has ended')));
      this.#tell({ type: 'counts' });
    });
  }

  stall(ms: number): void {
    this.#tell({ type: 'stall', ms });
  }

  exhaustHeap(): void {
    this.#tell({ type: 'exhaust-heap' });
  }

  jumpClock(ms: number): void {
    this.#tell({ type: 'jump-clock', ms });
  }

  produce(command: Omit<ProduceCommand, 'type'>): void {
    this.#tell({ type: 'produce', ...command });
  }

  journal(): JournalEntry[] {
    return this.#kept?.journal ?? readJournal(this.#files.journal);
  }

  history(): readonly HistoryEvent[] {
    if (this.#kept !== undefined) return this.#kept.history;
    const { history } = this.#files;
    const events = existsSync(history) ? readJournals([history]).events : [];
    return [...events, ...faultEvents(this.#faults)];
  }

  #noteFault(fault: string, phase: NotedFault['phase']): void {
    this.#faults.push({ at: process.hrtime.bigint(), fault, phase, pid: this.pid });
  }

  output(): string {
    return this.#output;
  }

  async close(): Promise<void> {
    this.kill();
    await this.exited;
    this.#kept ??= { journal: this.journal(), history: this.history() };
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #tell(command: WorkerCommand): void {
    if (this.#child.connected) this.#child.send(command, () => {});
  }
}

/** What this process was started with, apart from a debugger's port, which only one can have. */
function inheritedFlags(): string[] {
  return process.execArgv.filter((flag) => !flag.startsWith('--inspect'));
}

/**
 * Runners such as vitest transpile by themselves, so what they were started with does not run TypeScript.
 * @throws Error when nothing here does
 */
function typescriptFlags(module: URL): string[] {
  // Not `includes('tsx')`: pnpm names the peers of a package in its folder, and vitest has tsx among its own.
  const hasTsx = process.execArgv.some((flag) => /(^|=|\/node_modules\/)tsx(\/|$)/.test(flag));
  if (!/\.[cm]?tsx?$/.test(module.pathname) || hasTsx) return [];
  const tsx = findBeside('tsx', module);
  if (tsx !== undefined) return [`--import=${tsx.href}`];
  // Node strips types by itself from 22.18 on.
  if ((process.features as { typescript?: unknown }).typescript) return [];
  throw new Error(
    `${fileURLToPath(module)} is TypeScript: install tsx beside it, use Node 22.18 or newer, or build it`,
  );
}

/** tsx leaves threads to themselves; this registers it in each. */
function threadFlags(module: URL): string[] {
  const tsx = /\.[cm]?tsx?$/.test(module.pathname) ? findBeside('tsx/esm/api', module) : undefined;
  if (tsx === undefined) return [];
  const source = `import{register}from${JSON.stringify(tsx.href.replace(/\.cjs$/, '.mjs'))};register()`;
  return [`--import=data:text/javascript,${encodeURIComponent(source)}`];
}
