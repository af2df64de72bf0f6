import type { TaskState } from '@millrace/core';
import type * as FastCheck from 'fast-check';
import type { Both, Command, LeaseSpec, TaskSpec } from './command.ts';
import type { ControlType } from './operation.ts';

const states: readonly TaskState[] = [
  'scheduled',
  'pending',
  'running',
  'retrying',
  'paused',
  'succeeded',
  'failed',
  'cancelled',
];
const controls: readonly ControlType[] = ['cancel', 'pause', 'resume', 'rerun', 'reschedule', 'update', 'remove'];

/** Programs of up to so many commands. `fc` is passed in: fast-check is an optional peer, loaded by whoever has it. */
export function programs(fc: typeof FastCheck, longest: number): FastCheck.Arbitrary<Command[]> {
  return fc.array(commandOf(fc), { maxLength: longest, size: 'max' });
}

function commandOf(fc: typeof FastCheck): FastCheck.Arbitrary<Command> {
  const index = fc.nat({ max: 30 });
  const time = fc.nat({ max: 71 });
  const one = fc.nat({ max: 1 });
  const both: FastCheck.Arbitrary<Both> = fc.constantFrom(2, 2, 2, 2, 0, 1);
  const spec = taskSpec(fc);
  const lease: FastCheck.Arbitrary<LeaseSpec> = fc.record({
    pick: index,
    held: fc.constantFrom(true, true, true, true, true, false),
    forge: fc.constantFrom(0, 0, 0, 0, 0, 0, 1, -1),
  });
  const few = <T>(item: FastCheck.Arbitrary<T>): FastCheck.Arbitrary<T[]> =>
    fc.oneof(
      { weight: 4, arbitrary: item.map((each) => [each]) },
      { weight: 1, arbitrary: fc.array(item, { minLength: 2, maxLength: 4 }) },
    );
  const any = fc.constantFrom(false, false, false, false, false, true);

  return fc.oneof(
    { weight: 18, arbitrary: fc.record({ type: fc.constant('enqueue' as const), tasks: few(spec) }) },
    {
      weight: 2,
      arbitrary: fc.record(
        { type: fc.constant('repeat' as const), task: index, spec },
        { requiredKeys: ['type', 'task'] },
      ),
    },
    {
      weight: 16,
      arbitrary: fc.record({
        type: fc.constant('claim' as const),
        session: index,
        limit: fc.nat({ max: 2 }),
        queues: both,
        names: both,
        any,
        eager: fc.constantFrom(true, true, true, true, false),
      }),
    },
    {
      weight: 20,
      arbitrary: fc.record({
        type: fc.constant('settle' as const),
        how: fc.constantFrom('complete', 'retry', 'fail', 'release', 'snooze', 'pause', 'cancel'),
        leases: few(lease),
        delay: time,
      }),
    },
    {
      weight: 4,
      arbitrary: fc.record({
        type: fc.constant('report' as const),
        lease,
        what: fc.constantFrom('progress', 'checkpoint', 'log', 'begun'),
      }),
    },
    {
      weight: 10,
      arbitrary: fc.record({
        type: fc.constant('control' as const),
        control: fc.constantFrom(...controls),
        tasks: few(index),
        fitting: fc.constantFrom(true, true, false),
        value: time,
      }),
    },
    {
      weight: 4,
      arbitrary: fc.record({
        type: fc.constant('queue' as const),
        how: fc.constantFrom('resume', 'resume', 'pause', 'stats', 'purge'),
        queue: one,
      }),
    },
    { weight: 4, arbitrary: fc.record({ type: fc.constant('get' as const), tasks: few(index) }) },
    {
      weight: 2,
      arbitrary: fc.record({
        type: fc.constant('count' as const),
        states: fc.subarray([...states], { minLength: 1 }),
        queue: one,
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ type: fc.constant('list' as const), limit: fc.integer({ min: 1, max: 5 }), queue: one }),
    },
    { weight: 4, arbitrary: fc.constant({ type: 'maintain' as const }) },
    { weight: 5, arbitrary: fc.record({ type: fc.constant('advance' as const), time }) },
    { weight: 1, arbitrary: fc.constant({ type: 'openSession' as const }) },
    {
      weight: 2,
      arbitrary: fc.record({ type: fc.constant('endSession' as const), session: index, close: fc.boolean() }),
    },
    { weight: 1, arbitrary: fc.record({ type: fc.constant('freeze' as const), session: index }) },
    { weight: 2, arbitrary: fc.record({ type: fc.constant('thaw' as const), session: index }) },
    {
      weight: 3,
      arbitrary: fc.record({
        type: fc.constant('crash' as const),
        session: index,
        sweep: fc.constantFrom(true, true, true, false),
      }),
    },
    { weight: 1, arbitrary: fc.constant({ type: 'reopen' as const }) },
  );
}

function taskSpec(fc: typeof FastCheck): FastCheck.Arbitrary<TaskSpec> {
  return fc.record({
    name: fc.nat({ max: 1 }),
    queue: fc.nat({ max: 1 }),
    key: fc.constantFrom(0, 0, 1, 2),
    until: fc.constantFrom('settled', 'settled', 'started'),
    conflict: fc.constantFrom('ignore', 'ignore', 'replace'),
    delay: fc.nat({ max: 71 }),
    expiry: fc.nat({ max: 71 }),
    priority: fc.nat({ max: 4 }),
    attempts: fc.nat({ max: 3 }),
    input: fc.nat({ max: 5 }),
    past: fc.nat({ max: 19 }).map((number) => number === 19),
    invalid: fc.nat({ max: 19 }).map((number) => number === 19),
  });
}
