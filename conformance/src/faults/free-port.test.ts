import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { findSteadyPort, reservePort } from './free-port.ts';

// Outside of the range that ports are taken from.
const port = 19_999;
const file = path.join(tmpdir(), 'millrace-ports', String(port));

function writeDown(owner: number): void {
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, String(owner));
}

afterEach(() => rmSync(file, { force: true }));

it('never gives a port twice, although nobody listens on it yet', async () => {
  const ports = [];
  for (let count = 0; count < 400; count++) ports.push(await findSteadyPort());
  expect(new Set(ports).size).toBe(ports.length);
});

it('leaves the ports of other processes alone', () => {
  writeDown(process.ppid);
  expect(reservePort(port)).toBe(false);
});

it('takes those of processes that are gone, and those that were taken long ago', () => {
  const { pid } = spawnSync(process.execPath, ['--version']);
  writeDown(pid);
  expect(reservePort(port)).toBe(true);
  expect(reservePort(port)).toBe(false);
  const longAgo = new Date(Date.now() - 3_600_000);
  utimesSync(file, longAgo, longAgo);
  expect(reservePort(port)).toBe(true);
});
