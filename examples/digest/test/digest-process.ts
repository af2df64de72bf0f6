import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { onTestFinished } from 'vitest';
import { bundleDigest } from './digest-bundle.ts';

const example = fileURLToPath(new URL('..', import.meta.url));
// Node spends half of a short run on making PGlite's code faster for a long one.
const quickStart = '--liftoff-only';
// `--import tsx` would look for it from the working directory, and do more than is needed.
const tsx = createRequire(path.join(example, '../../package.json')).resolve('tsx/esm/api').replace(/cjs$/, 'mjs');
const typescript = `import{register}from${JSON.stringify(pathToFileURL(tsx).href)};register()`;

/** What Node is told to run. */
const programs = {
  /** As `npm start` does it. */
  sources: () => [
    '--import',
    `data:text/javascript,${encodeURIComponent(typescript)}`,
    path.join(example, 'src/main.ts'),
  ],
  bundle: () => {
    bundle ??= bundleDigest();
    return [bundle];
  },
};
let bundle: string | undefined;

export interface DigestOptions {
  /** `MILLRACE_URL`; `undefined` leaves it unset. */
  readonly url: string | undefined;
  /** Arguments; usually the folder. */
  readonly args: readonly string[];
  readonly pauseMs?: number;
  /** Where the user stands. */
  readonly cwd?: string;
  /** Default `bundle`, which starts sooner. */
  readonly program?: keyof typeof programs;
}

export interface DigestResult {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The example, run as users run it: in a process of its own. */
export class DigestProcess {
  readonly child: ChildProcess;
  readonly ended: Promise<DigestResult>;
  stdout = '';
  stderr = '';

  constructor({ url, args, pauseMs = 0, cwd = example, program = 'bundle' }: DigestOptions) {
    const { MILLRACE_URL: _url, INIT_CWD: _directory, ...environment } = process.env;
    this.child = spawn(process.execPath, [quickStart, ...programs[program](), ...args], {
      cwd,
      env: { ...environment, ...(url === undefined ? {} : { MILLRACE_URL: url }), DIGEST_PAUSE_MS: String(pauseMs) },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
    });
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
    this.ended = once(this.child, 'close').then(([code, signal]) => ({
      code: code as number | null,
      signal: signal as NodeJS.Signals | null,
      stdout: this.stdout,
      stderr: this.stderr,
    }));
    onTestFinished(async () => {
      this.child.kill('SIGKILL');
      await this.ended;
    });
  }

  /** Resolves when the output has matched; rejects when the process ends without. */
  async until(pattern: RegExp): Promise<void> {
    const gone = this.ended.then(({ stdout, stderr }) => {
      if (!pattern.test(stdout)) throw new Error(`the process ended without ${pattern}:\n${stdout}\n${stderr}`);
    });
    while (!pattern.test(this.stdout)) {
      await Promise.race([once(this.child.stdout as NodeJS.ReadableStream, 'data'), gone]);
    }
  }
}

/** Runs the example to its end. */
export function runDigest(options: DigestOptions): Promise<DigestResult> {
  return new DigestProcess(options).ended;
}

/** Lets the example find all files and digest none, as if the user had ended it then. */
export async function beginDigest(options: DigestOptions, files: number): Promise<void> {
  const digest = new DigestProcess({ ...options, pauseMs: 600_000 });
  await digest.until(new RegExp(`^0 of ${files.toLocaleString('en-US')} files`, 'm'));
  digest.child.kill('SIGINT');
  const { code } = await digest.ended;
  if (code !== 130) throw new Error(`Ctrl-C ended it with ${code}:\n${digest.stdout}\n${digest.stderr}`);
}
