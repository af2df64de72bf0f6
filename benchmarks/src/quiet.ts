import { setTimeout as delay } from 'node:timers/promises';
import { readMachine } from './processor-time.ts';

/** Processors other programs may keep busy. */
export const quietLoad = 0.25;

const lookMs = 500;
const longestWaitMs = 30_000;

/** Waits, not for ever, until the machine has nothing else to do. Where /proc does not tell, it does not wait. */
export async function untilQuiet(): Promise<void> {
  for (const deadline = performance.now() + longestWaitMs; performance.now() < deadline; ) {
    const [before, start] = [readMachine(), performance.now()];
    await delay(lookMs);
    const after = readMachine();
    if (before === undefined || after === undefined) return;
    if ((after - before) / ((performance.now() - start) / 1000) <= quietLoad) return;
  }
}
