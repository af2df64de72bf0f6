import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';

/** What a process of its own is told. */
export interface ConnectRequest {
  readonly url: string;
  /** The folder of the adapter's package: `connect` looks for adapters in the working directory. */
  readonly cwd: URL;
  /** A file of certificates that it trusts besides the usual ones. */
  readonly extraCertificates?: string;
}

const limitMs = 30_000;

/** Runs a task by `connect(url)` in a process of its own. Resolves to `ran`, or to the code and message of its error. */
export async function runConnectProgram({ url, cwd, extraCertificates }: ConnectRequest): Promise<string> {
  const { NODE_EXTRA_CA_CERTS: _inherited, ...environment } = process.env;
  const typescript = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
  const program = fileURLToPath(new URL('connect-program.ts', import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [`--import=${typescript}`, program], {
    cwd,
    // A process that does not end by itself is one that hangs.
    timeout: limitMs,
    env: {
      ...environment,
      MILLRACE_URL: url,
      ...(extraCertificates !== undefined && { NODE_EXTRA_CA_CERTS: extraCertificates }),
    },
  });
  return stdout.trim();
}
