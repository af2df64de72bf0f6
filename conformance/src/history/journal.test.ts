import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventVersion, type HistoryEvent } from './event.ts';
import { faultEvents } from './fault-events.ts';
import { fileJournal, journalPath, readJournals } from './journal.ts';

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'millrace-journal-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

function event(seq: number, pid: number, t: number): HistoryEvent {
  return { v: eventVersion, seq, pid, role: 'w', t, phase: 'event', op: 'alive' };
}

describe('journals', () => {
  it('merges files in the order of time and leaves out a last line that was cut short', () => {
    const [one, two] = [fileJournal(journalPath(directory, 1)), fileJournal(journalPath(directory, 2))];
    one.append(event(1, 1, 10));
    two.append(event(1, 2, 5));
    one.append(event(2, 1, 20));
    one.append(event(3, 1, 20));
    two.append(event(2, 2, 15));
    one.close();
    two.close();
    appendFileSync(two.path, '{"v":1,"seq":3,"pid":2,"t":1');
    const { events, torn } = readJournals([directory]);
    expect(events.map(({ pid, seq }) => [pid, seq])).toEqual([
      [2, 1],
      [1, 1],
      [2, 2],
      [1, 2],
      [1, 3],
    ]);
    expect(torn).toEqual([two.path]);
  });

  it('refuses a broken line in the middle, and another version', () => {
    const file = path.join(directory, 'broken.txt');
    writeFileSync(file, `{"v":1\n${JSON.stringify(event(1, 1, 1))}\n`);
    expect(() => readJournals([file])).toThrow(/broken\.txt:1 is not a line/);
    writeFileSync(file, `${JSON.stringify({ ...event(1, 1, 1), v: 2 })}\n`);
    expect(() => readJournals([file])).toThrow(/version 1/);
  });

  it('reads times in nanoseconds, and the journals of worker processes', () => {
    const file = path.join(directory, 'worker.txt');
    const lines = [
      { v: 1, seq: 1, pid: 7, t: '1000000', event: 'ready', instance: 'w7' },
      { v: 1, seq: 2, pid: 7, t: '2000000', event: 'enqueued', tasks: ['a', 'b'], outcomes: ['accepted', 'duplicate'] },
      { v: 1, seq: 3, pid: 7, t: '3000000', event: 'start', task: 'a', attempt: 1, fence: 4 },
      { v: 1, seq: 4, pid: 7, t: '4000000', event: 'end', task: 'a', attempt: 1, fence: 4, how: 'returned' },
      { ...event(5, 7, 0), t: '5000000' },
    ];
    writeFileSync(file, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
    const { events } = readJournals([file]);
    expect(events.map(({ t, op, phase, role, task, outcome }) => [t, op, phase, role, task, outcome])).toEqual([
      [1_000, 'alive', 'event', 'w7', undefined, undefined],
      [1_000, 'enqueue', 'invoke', 'w7', 'a', undefined],
      [1_000, 'enqueue', 'invoke', 'w7', 'b', undefined],
      [2_000, 'enqueue', 'return', 'w7', 'a', 'accepted'],
      [2_000, 'enqueue', 'return', 'w7', 'b', 'duplicate'],
      [3_000, 'start', 'event', 'w7', 'a', undefined],
      [4_000, 'end', 'event', 'w7', 'a', 'returned'],
      [5_000, 'alive', 'event', 'w', undefined, undefined],
    ]);
  });

  it('takes what fault tools note', () => {
    const [fault] = faultEvents([{ at: 5_000n, fault: 'kill', phase: 'instant', pid: 12 }]);
    expect(fault).toMatchObject({
      t: 5,
      op: 'fault',
      pid: 0,
      args: { fault: 'kill', faultPhase: 'instant', target: 12 },
    });
  });
});
