import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import type { Server } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';

/**
 * Below the ranges from which systems take ports for outgoing connections (Linux from 32768, others from 49152): nobody
 * gets the port by chance while its owner is down for a moment.
 */
const range: { readonly first: number; readonly size: number } = { first: 20_000, size: 12_000 };
const attempts = 200;
/** How long a port of our own may stay taken after we let it go. */
const returnMs = 5_000;

/** Listens on 127.0.0.1, on a port of its own or, to come back, on the one given. Resolves to the port. */
export async function listenOnSteadyPort(server: Server, port?: number): Promise<number> {
  const deadline = performance.now() + returnMs;
  for (let attempt = 1; ; attempt++) {
    const candidate = port ?? range.first + Math.floor(Math.random() * range.size);
    if (port === undefined && attempt < attempts && !reservePort(candidate)) continue;
    try {
      await listen(server, candidate);
      return candidate;
    } catch (error) {
      const taken = (error as { code?: unknown }).code === 'EADDRINUSE';
      if (!taken || (port === undefined ? attempt >= attempts : performance.now() > deadline)) throw error;
      if (port !== undefined) await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

/** A port nobody listens on now, and that nobody is likely to take before the caller does. */
export async function findSteadyPort(): Promise<number> {
  const server = createServer();
  const port = await listenOnSteadyPort(server);
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

/** Where the processes of this machine write down whose each port is: a server may need seconds until it listens. */
const register = path.join(tmpdir(), 'millrace-ports');
/** Whoever needs it for longer listens on it by now. */
const reservedMs = 600_000;
const mine = new Set<string>();
let isWatching = false;

/** Whether the port is this caller's from now on. Where nothing can be written down, it is. */
export function reservePort(port: number): boolean {
  const file = path.join(register, String(port));
  try {
    mkdirSync(register, { recursive: true });
    if (isOver(file)) rmSync(file, { force: true });
    writeFileSync(file, String(process.pid), { flag: 'wx' });
    mine.add(file);
    forgetAtExit();
    return true;
  } catch (error) {
    return (error as { code?: unknown }).code !== 'EEXIST';
  }
}

/** Its owner is gone, or has had it for long. */
function isOver(file: string): boolean {
  try {
    if (Date.now() - statSync(file).mtimeMs > reservedMs) return true;
    process.kill(Number(readFileSync(file, 'utf8')), 0);
    return false;
  } catch (error) {
    return (error as { code?: unknown }).code === 'ESRCH';
  }
}

function forgetAtExit(): void {
  if (isWatching) return;
  isWatching = true;
  process.once('exit', () => {
    for (const file of mine) rmSync(file, { force: true });
  });
}
