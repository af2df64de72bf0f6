import { describe, expect, it } from 'vitest';
import { ManualClock, turns, until } from '../../test/manual-clock.ts';
import { delivery, ScriptedSession } from '../../test/scripted-broker.ts';
import type { SettleOp, SettleOutcome } from '../broker/session.ts';
import { UnavailableError, ValidationError } from '../errors.ts';
import { SettleBuffer } from './settle-buffer.ts';

function completes(count: number): SettleOp[] {
  return Array.from({ length: count }, () => ({ type: 'complete', lease: delivery().lease }));
}

function setUp() {
  const clock = new ManualClock();
  const session = new ScriptedSession();
  const answers: [SettleOp, SettleOutcome][] = [];
  const buffer = new SettleBuffer(clock, (operation, outcome) => answers.push([operation, outcome]));
  return { clock, session, answers, buffer, outcomes: () => answers.map(([, outcome]) => outcome) };
}

describe('SettleBuffer', () => {
  it('sends what ends in one turn of the event loop together, in order', async () => {
    const { session, answers, buffer } = setUp();
    const operations = completes(50);
    for (const operation of operations) buffer.add(session, operation);
    expect(buffer.pending).toBe(50);
    await buffer.drain();
    expect(session.settleBatches).toEqual([operations]);
    expect(answers.map(([operation]) => operation)).toEqual(operations);
    expect(buffer.pending).toBe(0);
  });

  it('sends at most 1,000 at once, at most two batches at a time', async () => {
    const { session, buffer } = setUp();
    const pass: (() => void)[] = [];
    session.onSettle = (operations) =>
      new Promise((resolve) => pass.push(() => resolve(operations.map(() => 'applied'))));
    for (const operation of completes(3_600)) buffer.add(session, operation);
    await turns();
    expect(session.settleBatches.map((batch) => batch.length)).toEqual([1_000, 1_000]);
    pass[0]?.();
    await until(() => session.settleBatches.length === 3);
    await turns();
    expect(session.settleBatches).toHaveLength(3);
    for (let index = 1; index < 4; index++) {
      await until(() => pass.length > index);
      pass[index]?.();
    }
    await buffer.drain();
    expect(session.settleBatches.map((batch) => batch.length)).toEqual([1_000, 1_000, 1_000, 600]);
  });

  it('says when what ended in this turn has been handed to its session', async () => {
    const { session, buffer } = setUp();
    expect(buffer.departure()).toBeUndefined();
    const [one, two] = completes(2) as [SettleOp, SettleOp];
    buffer.add(session, one);
    const departure = buffer.departure();
    buffer.add(session, two);
    expect(session.settleBatches).toEqual([]);
    await departure;
    // In the very turn in which it was handed over: a claim made now is beside it.
    expect(session.settleBatches).toEqual([[one, two]]);
    expect(buffer.departure()).toBeUndefined();
    await buffer.drain();
  });

  it('keeps sessions apart', async () => {
    const { session, buffer } = setUp();
    const other = new ScriptedSession();
    const [one, two, three] = completes(3) as [SettleOp, SettleOp, SettleOp];
    buffer.add(session, one);
    buffer.add(other, two);
    buffer.add(session, three);
    await buffer.drain();
    expect([session.settleBatches, other.settleBatches]).toEqual([[[one, three]], [[two]]]);
  });

  it('passes on what is stale', async () => {
    const { session, buffer, outcomes } = setUp();
    session.onSettle = async () => ['applied', 'stale'];
    for (const operation of completes(2)) buffer.add(session, operation);
    await buffer.drain();
    expect(outcomes()).toEqual(['applied', 'stale']);
  });

  it('asks again for what is unknown, and only for that, until it is known', async () => {
    const { clock, session, buffer, outcomes } = setUp();
    const operations = completes(3);
    const answers: SettleOutcome[][] = [['applied', 'unknown', 'unknown'], ['unknown', 'applied'], ['stale']];
    session.onSettle = async () => answers.shift()!;
    for (const operation of operations) buffer.add(session, operation);
    await clock.advance(1_000);
    expect(outcomes()).toEqual(['applied', 'applied', 'stale']);
    expect(session.settleBatches.map((batch) => batch.map((one) => operations.indexOf(one)))).toEqual([
      [0, 1, 2],
      [1, 2],
      [1],
    ]);
  });

  it.each<[string, (session: ScriptedSession) => void]>([
    ['rejects', (session) => (session.onSettle = async () => Promise.reject(new Error('adapter')))],
    ['answers too little', (session) => (session.onSettle = async () => [])],
    ['answers nothing', (session) => (session.onSettle = async () => undefined as never)],
    [
      'throws at once',
      (session) =>
        (session.settle = () => {
          throw new TypeError('adapter');
        }),
    ],
  ])('takes an adapter that %s for one that does not know', async (_name, spoil) => {
    const { clock, session, buffer, outcomes } = setUp();
    spoil(session);
    buffer.add(session, completes(1)[0]!);
    await clock.advance(60_000);
    expect([buffer.pending, outcomes()]).toEqual([1, []]);
    session.settle = async (operations) => operations.map(() => 'applied');
    await clock.advance(5_000);
    expect([buffer.pending, outcomes()]).toEqual([0, ['applied']]);
  });

  describe('an operation over which the adapter throws', () => {
    /** Throws over batches with one of these, as an adapter that checks or sends a batch as a whole. */
    function refuse(session: ScriptedSession, poison: ReadonlySet<SettleOp>, error: Error = new TypeError('poison')) {
      session.onSettle = async (operations) => {
        if (operations.some((one) => poison.has(one))) throw error;
        return operations.map(() => 'applied');
      };
    }

    it('does not hold up the others of its batch', async () => {
      const { session, answers, buffer } = setUp();
      const operations = completes(100);
      const poison = new Set([operations[0]!, operations[37]!, operations[99]!]);
      refuse(session, poison);
      for (const operation of operations) buffer.add(session, operation);
      await until(() => buffer.pending === 3);
      expect(answers.map(([operation]) => operation)).toEqual(operations.filter((one) => !poison.has(one)));
      expect(session.settleBatches.length).toBeLessThan(60);
    });

    it('does not hold up what comes later, however many there are', async () => {
      const { clock, session, outcomes, buffer } = setUp();
      const poison = new Set(completes(3));
      refuse(session, poison);
      for (const operation of poison) {
        buffer.add(session, operation);
        await turns();
      }
      buffer.add(session, completes(1)[0]!);
      await turns();
      expect(outcomes()).toEqual(['applied']);
      // Behind more of them in a row than are tried at once, too.
      const many = completes(40);
      for (const operation of many.slice(0, 30)) poison.add(operation);
      for (const operation of many) buffer.add(session, operation);
      await clock.advance(10_000);
      expect([outcomes().length, buffer.pending]).toEqual([11, 33]);
    });

    it('is given up once it is certain that only it is refused, and replaced', async () => {
      const replaced: unknown[] = [];
      const clock = new ManualClock();
      const session = new ScriptedSession();
      const answers: [SettleOp, SettleOutcome][] = [];
      const [bad, good] = completes(2) as [SettleOp, SettleOp];
      const instead: SettleOp = { type: 'release', lease: bad.lease };
      const buffer = new SettleBuffer(
        clock,
        (operation, outcome) => answers.push([operation, outcome]),
        (operation, error) => {
          replaced.push([operation, (error as Error).message]);
          return instead;
        },
      );
      refuse(session, new Set([bad]));
      buffer.add(session, bad);
      await clock.advance(20_000);
      // The adapter may refuse everything for now: nothing says that this one is at fault.
      expect([replaced, answers]).toEqual([[], []]);
      buffer.add(session, good);
      await clock.advance(10_000);
      expect(replaced).toEqual([[bad, 'poison']]);
      expect(answers).toEqual([
        [good, 'applied'],
        [instead, 'applied'],
      ]);
      expect(clock.pending).toBe(0);
    });

    it('is replaced at once when the adapter calls it invalid, but only once', async () => {
      const clock = new ManualClock();
      const session = new ScriptedSession();
      const outcomes: SettleOutcome[] = [];
      let replaced = 0;
      const buffer = new SettleBuffer(
        clock,
        (_operation, outcome) => outcomes.push(outcome),
        ({ lease }) => {
          replaced++;
          return { type: 'cancel', lease };
        },
      );
      session.onSettle = async () => Promise.reject(new ValidationError('output holds U+0000'));
      buffer.add(session, completes(1)[0]!);
      await clock.advance(30_000);
      expect([replaced, outcomes]).toEqual([1, []]);
      session.lose();
      await buffer.drain();
      expect(outcomes).toEqual(['unknown']);
    });

    it('is not sought when the broker is away', async () => {
      const { session, buffer } = setUp();
      session.onSettle = async () => Promise.reject(new UnavailableError('down'));
      for (const operation of completes(50)) buffer.add(session, operation);
      await turns();
      expect(session.settleBatches).toHaveLength(1);
    });

    it('costs a broken adapter few calls', async () => {
      const { session, buffer } = setUp();
      session.onSettle = async () => Promise.reject(new TypeError('broken'));
      for (const operation of completes(1_000)) buffer.add(session, operation);
      await turns(40);
      expect(session.settleBatches.length).toBeLessThan(40);
    });
  });

  it('cuts a batch of large outputs', async () => {
    const { session, buffer } = setUp();
    const output = 'x'.repeat(1_500_000);
    for (const operation of completes(5)) buffer.add(session, { ...operation, output } as SettleOp);
    buffer.add(session, { ...completes(1)[0], output: 'y'.repeat(9_000_000) } as SettleOp);
    await buffer.drain();
    expect(session.settleBatches.map((batch) => batch.length)).toEqual([2, 2, 1, 1]);
  });

  it('counts what becomes of what is added from some point on', async () => {
    const { session, buffer } = setUp();
    const types = ['complete', 'release', 'release', 'complete', 'retry'] as const;
    session.onSettle = async (operations) =>
      session.settleBatches.length === 1
        ? ['applied']
        : operations.map((_, index) => (['applied', 'applied', 'stale', 'unknown', 'applied'] as const)[index]!);
    buffer.add(session, completes(1)[0]!);
    const count = buffer.count();
    await turns();
    for (const type of types) buffer.add(session, { type, lease: delivery().lease } as SettleOp);
    expect(count).toEqual({ ended: 0, released: 0, unconfirmed: 5 });
    await turns();
    expect(count).toEqual({ ended: 2, released: 1, unconfirmed: 1 });
    buffer.close();
    await buffer.drain();
    expect(count).toEqual({ ended: 2, released: 1, unconfirmed: 1 });
  });

  it('lets later batches pass one that is asked again', async () => {
    const { clock, session, buffer, outcomes } = setUp();
    session.onSettle = async (operations) =>
      operations.map(() => (session.settleBatches.length === 1 ? 'unknown' : 'applied'));
    buffer.add(session, completes(1)[0]!);
    await turns();
    buffer.add(session, completes(1)[0]!);
    await turns();
    expect(outcomes()).toEqual(['applied']);
    await clock.advance(100);
    expect(outcomes()).toEqual(['applied', 'applied']);
  });

  it('stops asking when the session is lost: the answer is unknown', async () => {
    const { clock, session, buffer, outcomes } = setUp();
    session.onSettle = async (operations) => operations.map(() => 'unknown');
    for (const operation of completes(2)) buffer.add(session, operation);
    await clock.advance(10_000);
    expect(outcomes()).toEqual([]);
    session.lose();
    await buffer.drain();
    expect(outcomes()).toEqual(['unknown', 'unknown']);
    expect(clock.pending).toBe(0);
  });

  it('stops asking when it is closed, so that nothing is left behind', async () => {
    const { clock, session, buffer, outcomes } = setUp();
    session.onSettle = async (operations) => operations.map(() => 'unknown');
    buffer.add(session, completes(1)[0]!);
    await turns();
    expect(clock.pending).toBe(1);
    buffer.close();
    await buffer.drain();
    expect([outcomes(), clock.pending]).toEqual([['unknown'], 0]);
    buffer.add(session, completes(1)[0]!);
    await buffer.drain();
    expect(outcomes()).toEqual(['unknown', 'unknown']);
  });

  it('holds back what has to follow something else, and counts it meanwhile', async () => {
    const { session, buffer, outcomes } = setUp();
    const [held, free] = completes(2) as [SettleOp, SettleOp];
    let pass = (): void => {};
    const report = new Promise<void>((resolve) => {
      pass = resolve;
    });
    buffer.add(session, held, report);
    buffer.add(session, free);
    await turns();
    expect([session.settled, buffer.pending]).toEqual([[free], 1]);
    let drained = false;
    void buffer.drain().then(() => {
      drained = true;
    });
    await turns();
    expect(drained).toBe(false);
    pass();
    await turns();
    expect([session.settled, drained, outcomes()]).toEqual([[free, held], true, ['applied', 'applied']]);
  });

  it('goes on while what it tells adds more', async () => {
    const clock = new ManualClock();
    const session = new ScriptedSession();
    let left = 3;
    const buffer: SettleBuffer = new SettleBuffer(clock, () => {
      if (left-- > 0) buffer.add(session, completes(1)[0]!);
    });
    buffer.add(session, completes(1)[0]!);
    await until(() => session.settled.length === 4);
    await buffer.drain();
    expect(buffer.pending).toBe(0);
  });
});
