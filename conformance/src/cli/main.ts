#!/usr/bin/env node
import { runCli } from './run-cli.ts';

const terminal = {
  out: (text: string): void => void process.stdout.write(`${text}\n`),
  err: (text: string): void => void process.stderr.write(`${text}\n`),
};
// Drivers may keep a process alive that is done; what was written is written.
process.exit(await runCli(process.argv.slice(2), terminal));
