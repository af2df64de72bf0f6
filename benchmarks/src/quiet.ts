import { setTimeout as delay } from 'node:timers/promises';
import { readMachine } from './processor-time.ts';

/** Processors other programs may keep busy. */
export const quietLoad = 0.25;

const lookMs = 250;

/** Waits until the machine has nothing else to do, at most `patience` seconds. Where /proc does not tell, not at all. */
export async function untilQuiet(patience: number): Promise<void> {
  for (const deadline = performance.now() + patience * 1000; performance.now() < deadline; ) {
    const [before, start] = [readMachine(), performance.now()];
    await delay(lookMs);
    const after = readMachine();
    if (before === undefined || after === undefined) return;
    if ((after - before) / ((performance.now() - start) / 1000) <= quietLoad) return;
  }
}
