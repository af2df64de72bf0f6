import { existsSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BrokerHarness, Target } from '@millrace/conformance';
import { VirtualClock } from '@millrace/memory/testing';
import { fileBroker } from '../src/index.ts';

const directoryOf = ({ namespace }: Target): string => join(tmpdir(), `millrace-file-${process.pid}`, namespace);

/** Nothing here waits for a disk: time is virtual, and would run away meanwhile. */
export const harness: BrokerHarness = {
  name: 'file',
  connect: (target) => fileBroker({ directory: directoryOf(target), clock: target.clock }),
  drop: async (target) => rmSync(directoryOf(target), { recursive: true, force: true }),
  clock: () => new VirtualClock(),
  hooks: {
    dump: async (target) => readFileSync(join(directoryOf(target), 'journal.jsonl'), 'utf8'),
    resources: async (target) => ({ locks: existsSync(join(directoryOf(target), 'lock')) ? 1 : 0 }),
  },
};
